"""A thousand configurations with one line changed: the unharmed load, and each refusal names the line that was harmed."""

import random
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import programs
from harness.clients import run

SEED = 20_250_601
COUNT = 1_000

BASE = """\
global
    log 127.0.0.1:514 local0
    maxconn 2000
    stats socket /nowhere/admin.sock mode 660 level admin
    stats timeout 30s
    nbthread 2

defaults common
    mode tcp
    log global
    option tcplog
    option dontlognull
    option redispatch
    retries 3
    timeout connect 5s
    timeout client 50s
    timeout server 50s
    timeout queue 1m
    timeout check 2000ms

frontend public from common
    bind 192.0.2.1:443 name first
    bind [2001:db8::1]:443 v6only backlog 1000
    maxconn 1000
    tcp-request inspect-delay 5s
    acl is_api req.ssl_sni -i api.example.test
    acl is_shop req.ssl_sni -m end .shop.example.test
    acl inside src 10.0.0.0/8 192.0.2.0/24
    tcp-request connection reject if { src 203.0.113.0/24 }
    tcp-request content accept if { req.ssl_hello_type 1 }
    tcp-request content reject unless inside or is_api
    use_backend api if is_api
    use_backend shops if is_shop !inside
    default_backend www

backend www from common
    balance roundrobin
    server www1 192.0.2.11:443 check inter 2s fall 3 rise 2 weight 10
    server www2 192.0.2.12:443 check inter 2s weight 20 maxconn 500
    server spare 192.0.2.13:443 backup

backend api from common
    balance source
    default-server inter 1s fall 2 rise 2
    server api1 192.0.2.21:443 check port 8443 on-marked-down shutdown-sessions
    server api2 192.0.2.22:443 check send-proxy-v2

backend shops from common
    balance leastconn
    timeout server 10m
    option tcpka
    server shop1 192.0.2.31:443 disabled

listen database from common
    bind 127.0.0.1:5432
    server db1 192.0.2.41:5432 check
"""

SECTIONS = ("global", "defaults", "frontend", "backend", "listen")


def _misspells_the_keyword(line, chance):
    """One letter of the first word is lost, doubled or changed."""
    indent, word, rest = re.fullmatch(r"(\s*)(\S+)(.*)", line).groups()
    at = chance.randrange(1, len(word))
    changed = chance.choice([word[:at] + word[at + 1 :], word[:at] + "q" + word[at:], word[:at] + "q" + word[at + 1 :]])
    return indent + changed + rest


def _gives_no_number(line, chance):
    """A number or a time is no such thing any more."""
    words = "maxconn|retries|nbthread|connect|client|server|queue|check|weight|inter|fall|rise|port|backlog"
    return _changes(rf" (?:{words}) (\d+(?:s|m|ms)?)(?= |$)", "many", line, chance)


def _breaks_an_address(line, chance):
    return _changes(r" bind (\S+)| server \S+ (\S+)", "192.0.2.300:99999", line, chance)


def _breaks_a_network(line, chance):
    return _changes(r"(\d+\.0\.\d+\.0/\d+)", "10.0.0.0/99", line, chance)


def _names_nobody(line, chance):
    """A backend or a condition that does not exist."""
    return _changes(r" (?:use_backend|default_backend|if|from) (\w+)", "nobody", line, chance)


def _leaves_a_quote_open(line, chance):
    at = chance.randrange(len(line) - len(line.lstrip()), len(line))
    return line[:at] + '"' + line[at:]


def _opens_a_brace(line, chance):
    return _changes(r"( \})$", "", line, chance)


def _takes_an_unknown_option(line, chance):
    return line + " nonsense" if re.match(r"\s+(server|bind|stats socket|default-server) ", line) else None


def _loses_its_argument(line, chance):
    found = re.fullmatch(
        r"(\s+(?:mode|retries|maxconn|timeout \w+|server \S+|default_backend|bind|option|acl \S+|tcp-request))( .*)", line
    )
    return found[1] if found else None


def _changes(pattern, replacement, line, chance):
    """Replaces the group of one of the pattern's places."""
    places = list(re.finditer(pattern, line))
    if not places:
        return None
    place = chance.choice(places)
    start, end = place.span(place.lastindex)
    return line[:start] + replacement + line[end:]


HARMFUL = [
    _misspells_the_keyword, _gives_no_number, _breaks_an_address, _breaks_a_network, _names_nobody, _leaves_a_quote_open,
    _opens_a_brace, _takes_an_unknown_option, _loses_its_argument,
]  # fmt: skip


def _gains_a_comment(line, chance):
    return line + "   # " + chance.choice(["why not", "server s1 nonsense", '"', "\\"])


def _is_indented_otherwise(line, chance):
    if line.startswith(SECTIONS):
        return line
    return chance.choice(["\t", " ", "  \t  ", "        "]) + line.strip().replace(" ", chance.choice([" ", "  ", "\t"]))


def _is_quoted(line, chance):
    """The last word in quotes means the same."""
    head, _, last = line.rpartition(" ")
    if line.startswith(SECTIONS) or not re.fullmatch(r"[\w.:/]+", last):
        return None
    return f"{head} " + chance.choice(['"%s"', "'%s'"]) % last


def _is_escaped(line, chance):
    """The last word's first letter by its number."""
    head, _, last = line.rpartition(" ")
    return f"{head} \\x{ord(last[0]):02x}{last[1:]}" if not line.startswith(SECTIONS) and last != "}" else None


def _has_another_number(line, chance):
    found = re.fullmatch(r"(\s+(?:retries|maxconn|timeout \w+) )\d+(s|m|ms)?", line)
    return f"{found[1]}{chance.randrange(1, 60)}{found[2] or ''}" if found else None


def _ends_as_on_another_system(line, chance):
    return line + "\r"


HARMLESS = [
    _gains_a_comment, _is_indented_otherwise, _is_quoted, _is_escaped, _has_another_number, _ends_as_on_another_system,
]  # fmt: skip


def mutants():
    """(number, text, harmed line's number or None, what was done)."""
    chance = random.Random(SEED)
    lines = BASE.splitlines()
    for number in range(COUNT):
        mutation = chance.choice(chance.choice([HARMFUL, HARMLESS]))
        at, changed = next(_possible(mutation, lines, chance))
        harmed = at + 1 if mutation in HARMFUL else None
        text = "\n".join([*lines[:at], changed, *lines[at + 1 :]]) + "\n"
        yield number, text, harmed, f"{mutation.__name__}: {changed!r}"


def _possible(mutation, lines, chance):
    """The lines that the mutation can change, in any order: (index, the changed line)."""
    for at in chance.sample(range(len(lines)), len(lines)):
        if lines[at].strip() and (changed := mutation(lines[at], chance)) not in (None, lines[at]):
            yield at, changed


def verdict(directory, mutant):
    """None when the program said the right thing of this one, else what it said."""
    number, text, harmed, what = mutant
    path = directory / f"{number}.cfg"
    path.write_text(text, newline="")
    result = run([programs.SLUICE, "-c", "-f", path])
    path.unlink()
    said = f"#{number} {what}\nexit {result.returncode}: {result.stderr[-600:]}"
    if harmed is None:
        return None if result.returncode == 0 else said
    named = re.search(rf"{re.escape(str(path))}:{harmed}\b", result.stderr)
    return None if result.returncode == 1 and named else said


@pytest.mark.slow
def test_the_unharmed_load_and_each_refusal_names_the_harmed_line(scratch):
    assert run([programs.SLUICE, "-c", "-f", _written(scratch / "base.cfg", BASE)]).returncode == 0
    with ThreadPoolExecutor(2) as pool:
        wrong = list(filter(None, pool.map(lambda mutant: verdict(scratch, mutant), mutants())))
    assert not wrong, f"{len(wrong)} of {COUNT} (seed {SEED}):\n" + "\n\n".join(wrong[:20])


def _written(path, text):
    path.write_text(text)
    return path
