"""Units of vision transformers: where they sit, which matter to a class, what they stand for."""
