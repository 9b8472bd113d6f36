"""A picture is new if it differs from the last one that was sent, or if that one is old."""

from tests.support.pictures import grey, jpeg

from kioskd.flow.camera.change_filter import ChangeFilter


async def test_a_picture_like_the_last_one_sent_is_not_new_until_that_one_is_old() -> None:
    change_filter = ChangeFilter(0.1, 30.0)
    first, near, far = [await change_filter.sketch(grey(level)) for level in (100, 110, 160)]
    assert first is not None
    assert near is not None
    assert far is not None
    assert not change_filter.is_alike(first, 0.0)
    change_filter.keep(first, 0.0)
    assert change_filter.is_alike(near, 29.9)
    assert not change_filter.is_alike(near, 30.0)
    assert not change_filter.is_alike(far, 1.0)
    change_filter.forget()
    assert not change_filter.is_alike(first, 1.0)


async def test_every_picture_is_new_if_no_change_is_required() -> None:
    change_filter = ChangeFilter(0.0, 30.0)
    sketch = await change_filter.sketch(grey(100))
    assert sketch == b""
    change_filter.keep(sketch, 0.0)
    assert not change_filter.is_alike(sketch, 1.0)


async def test_a_damaged_picture_has_no_sketch() -> None:
    assert await ChangeFilter(0.1, 30.0).sketch(jpeg()[:500]) is None
