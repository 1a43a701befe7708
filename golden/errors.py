"""The one exception that means "the user can mend this"."""


class InputError(ValueError):
    """Bad input from outside: a file, a design key, an option.

    The message is one line that says what is wrong, the value found and the remedy; the command line prints exactly
    that line and exits with status 2. Programming mistakes raise the ordinary Python exceptions instead.
    """
