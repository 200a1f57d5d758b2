"""Commands of the command line, each a file: click commands that `deltarule.cli` collects."""
