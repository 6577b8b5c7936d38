"""The built-in backends, written as a third party would write one."""
