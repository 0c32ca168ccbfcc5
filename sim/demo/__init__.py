"""The demonstration: a sparse Vision Transformer trained on the simulated accelerator, beside a dense one and fp32."""
