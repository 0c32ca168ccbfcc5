"""What training costs: multiply-accumulates counted from the op table, and the time of steps measured beside them."""
