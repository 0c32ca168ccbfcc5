"""Token-level methods: how tokens flow through a run of blocks, one file a method."""
