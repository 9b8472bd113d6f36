from kioskd.settings.model import Settings


def test_written_out_defaults_are_accepted() -> None:
    assert Settings.model_validate(Settings().model_dump()) == Settings()
