"""Operations on the tensors of a batch: lists of tokens, and scales of numbers."""
