"""What the hardware is: specification, templates, renderer and checker."""
