"""
The command line: does by hand what Flux does by itself. A client of the gateway, and nothing else.

It prints what Flux v1's fluxctl prints. `arguments` is what may be typed, `commands` what each
does, `client` how the gateway is asked, `waiting` how long, `tables` what is shown.
"""
