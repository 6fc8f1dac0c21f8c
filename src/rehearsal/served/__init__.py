"""A world that an operator can work on: all that the commands ask of AWS, for as long as it is kept up.

`front` is the door, behind which each service has a room of its own; `world` puts them together; `show` is what
`make rehearse ARGS="--serve"` prints.
"""
