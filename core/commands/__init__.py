"""Groups of subcommands of the `chrono` command, one module a group."""
