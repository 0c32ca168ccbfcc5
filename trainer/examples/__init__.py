"""Which training examples are shown in which epoch: the paper's example selector and the methods beside it."""
