from seethrough.unknown_name import unknown


def test_the_nearest_name_is_offered_and_all_are_listed() -> None:
    assert unknown("widht", ["width", "beta"]) == (
        "'widht' is unknown (did you mean width?), allowed are beta, width"
    )


def test_far_from_everything_and_nothing_at_all() -> None:
    assert unknown("xyz", ["width"]) == "'xyz' is unknown, allowed are width"
    assert unknown("xyz", []) == "'xyz' is unknown, allowed are none"
