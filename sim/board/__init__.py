"""The virtual ZCU102: a server of PYNQ's remote protocol with a simulated accelerator behind it."""
