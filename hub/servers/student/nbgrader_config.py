"""nbgrader's settings in people's servers: the exchange that the hub runs."""

from classroom.hub.exchange import use

c = get_config()  # noqa: F821  (nbgrader defines it where this file runs)
use(c)
c.Exchange.path_includes_course = True  # a folder for each course, so that a second one moves nothing
c.ExchangeSubmit.strict = True  # a renamed notebook is not handed in as nothing: the person reads which one is missing
