from kioskd.media.speech_rating import LEAD, LINGERS, LOUD, LOUD_WINDOW, SpeechRating


class Counting:
    """A model that rates a frame by its first byte, and notes what it was asked to do."""

    def __init__(self) -> None:
        self.rated: list[int] = []
        self.resets = 0

    def rate(self, frame: bytes) -> float:
        self.rated.append(frame[0])
        return frame[0] / 255

    def reset(self) -> None:
        self.resets += 1


def test_the_network_rests_while_nothing_sounds() -> None:
    model = Counting()
    ratings = SpeechRating(model)
    assert [ratings.rate(bytes([number]), sounds=False, loud=False) for number in range(100)] == [0.0] * 100
    assert model.rated == []


def test_a_sound_is_rated_after_the_frames_before_it() -> None:
    model = Counting()
    ratings = SpeechRating(model)
    for number in range(5):
        ratings.rate(bytes([number]), sounds=False, loud=False)
    assert ratings.rate(b"\xff", sounds=True, loud=False) == 1.0
    assert ratings.rate(b"\x00", sounds=True, loud=False) == 0.0
    assert (model.rated, model.resets) == ([0, 1, 2, 3, 4, 255, 0], 0)


def test_after_a_long_silence_only_its_end_is_looked_at_as_a_new_stream() -> None:
    model = Counting()
    ratings = SpeechRating(model)
    for number in range(200):
        ratings.rate(bytes([number]), sounds=False, loud=False)
    ratings.rate(b"\xff", sounds=True, loud=False)
    assert (model.rated, model.resets) == ([*range(200 - LEAD, 200), 255], 1)


def test_some_time_after_a_sound_that_lasts_the_network_rests_again() -> None:
    model = Counting()
    ratings = SpeechRating(model)
    for _ in range(LOUD):
        ratings.rate(b"\xff", sounds=True, loud=True)
    assert ratings.lasting
    found = [ratings.rate(b"\xff", sounds=False, loud=False) for _ in range(2 * LINGERS)]
    still_lasting = LOUD_WINDOW - LOUD
    assert found.count(1.0) == still_lasting + LINGERS - 1
    assert found[found.index(0.0) :] == [0.0] * found.count(0.0)


def test_after_a_knock_the_network_rests_at_once() -> None:
    ratings = SpeechRating(Counting())
    for _ in range(LOUD - 1):
        ratings.rate(b"\xff", sounds=True, loud=True)
    assert not ratings.lasting
    assert ratings.rate(b"\xff", sounds=False, loud=False) == 0.0


def test_a_reset_forgets_the_frames_before_a_sound() -> None:
    model = Counting()
    ratings = SpeechRating(model)
    ratings.rate(b"\x01", sounds=False, loud=False)
    ratings.reset()
    ratings.rate(b"\xff", sounds=True, loud=False)
    assert (model.rated, model.resets) == ([255], 1)
