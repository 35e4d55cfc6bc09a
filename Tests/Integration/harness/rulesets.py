"""Rule sets made by lot, in the language that sluice shares with the reference, and connections to decide on.

Both are drawn from small alphabets, so that patterns meet samples often, and conditions are true about as often as not.
"""

import random
from dataclasses import dataclass, field
from pathlib import Path

from .hello import client_hello

BACKENDS = [f"b{number}" for number in range(6)]
LABELS = ["a", "b", "api", "www", "node1"]
DOMAINS = ["example.com", "example.org", "corp.test"]
PROTOCOLS = ["h2", "http/1.1", "acme-tls/1", "imap"]
ADDRESSES = ["10.0.0.1", "10.0.1.200", "10.1.0.1", "192.0.2.7", "192.0.2.77", "127.0.0.1", "2001:db8::1", "2001:db8:1::9"]
NETWORKS = ["10.0.0.0/8", "10.0.0.0/24", "10.0.1.200", "192.0.2.0/26", "192.0.2.64/26", "2001:db8::/32", "2001:db8::/64",
            "127.0.0.0/8"]
PORTS = [443, 993, 1023, 5432, 40000]
PLAIN = [b"SSH-2.0-OpenSSH_9.2\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\x00\x00\x00\x08\x04\xd2\x16\x2f", b"EHLO a\r\n"]


@dataclass
class Connection:
    """What a client brings: addresses, which a PROXY header tells, and its first bytes."""

    source: str
    source_port: int
    destination: str
    destination_port: int
    server_name: str | None
    protocols: list
    plain: bytes | None

    @property
    def bytes(self):
        family = "TCP6" if ":" in self.source else "TCP4"
        ends = f"{self.source} {self.destination} {self.source_port} {self.destination_port}"
        return f"PROXY {family} {ends}\r\n".encode() + (self.plain or client_hello(self.server_name, self.protocols))


@dataclass
class RuleSet:
    """The lines of one frontend, without its `bind`, and who comes to it."""

    lines: list = field(default_factory=list)
    connections: list = field(default_factory=list)


def rule_set(seed, files, connections):
    """The rule set of that seed; `files` is the directory that `write_files` has filled."""
    return _Generator(random.Random(seed), files).rule_set(connections)


def write_files(directory):
    """The files that generated rules look things up in."""
    names = [f"{label}.{domain}" for label in LABELS for domain in DOMAINS]
    files = {
        "names.lst": ["# names", "", *names[::3]],
        "suffixes.lst": ["example.org", ".corp.test"],
        "networks.lst": NETWORKS[1:4],
        "exact.map": [f"{name} {BACKENDS[index % 6]}" for index, name in enumerate(names[:9])],
        "ends.map": ["example.com b1", ".example.org b2", "api.corp.test b3"],
        "domains.map": ["example.com b4", "corp b5"],
        "expressions.map": ["^a[.] b0", "node[0-9]+ b1", "org$ b2"],
        "networks.map": [f"{network} {BACKENDS[index % 6]}" for index, network in enumerate(NETWORKS)],
        "numbers.map": ["443 1", "993 2", "1000:2000 3"],
    }
    for name, lines in files.items():
        (Path(directory) / name).write_text("\n".join(lines) + "\n")


class _Generator:
    def __init__(self, lot, files):
        self.lot, self.files, self.named, self.variables = lot, files, [], []

    # The whole

    def rule_set(self, connections):
        lot = self.lot
        made = RuleSet()
        made.lines.append("tcp-request inspect-delay 3s")
        for number in range(lot.randint(0, 4)):
            name = lot.choice([f"acl{number}", f"is_{number}.example", "twice"])
            made.lines.append(f"acl {name} {self.criterion()}")
            self.named.append(name)
        for _ in range(lot.randint(0, 2)):
            made.lines.append(f"tcp-request session {lot.choice(['accept', 'reject'])} if {self.early_condition()}")
        for _ in range(lot.randint(0, 2)):
            made.lines.append(f"tcp-request content {self.assignment()}")
        for _ in range(lot.randint(0, 2)):
            made.lines.append(f"tcp-request content {lot.choice(['accept', 'reject', 'reject'])} {self.tail(rare=True)}")
        # What every guide says: wait for the hello. Without it the reference may decide before a byte has come.
        made.lines.append("tcp-request content accept if { req.ssl_hello_type 1 }")
        made.lines.append("tcp-request content accept if { req.len ge 1 }")
        for _ in range(lot.randint(1, 6)):
            made.lines.append(f"use_backend {self.target()} {self.tail()}")
        if lot.random() < 0.8:
            made.lines.append(f"default_backend {lot.choice(BACKENDS)}")
        # The reference takes no more than 64 words a line.
        made.lines = [line for line in made.lines if len(line.split()) <= 60]
        made.connections = [self.connection() for _ in range(connections)]
        return made

    def connection(self):
        lot = self.lot
        source = lot.choice(ADDRESSES)
        destination = lot.choice([address for address in ADDRESSES if (":" in address) == (":" in source)])
        name = lot.choice([None, *[self.name()] * 6])
        protocols = lot.sample(PROTOCOLS, lot.choice([0, 1, 1, 2]))
        plain = lot.choice(PLAIN) if lot.random() < 0.1 else None
        return Connection(source, lot.choice(PORTS), destination, lot.choice(PORTS), name, protocols, plain)

    def name(self):
        text = f"{self.lot.choice(LABELS)}.{self.lot.choice(DOMAINS)}"
        if self.lot.random() < 0.15:
            text = f"{self.lot.choice(LABELS)}.{text}"
        return self.recased(text)

    def recased(self, text):
        return self.lot.choice([text, text, text, text.upper(), text.capitalize()])

    # Rules

    def target(self):
        if self.lot.random() < 0.8:
            return self.lot.choice(BACKENDS)
        return self.lot.choice([
            f"%[req.ssl_sni,lower,map({self.files}/exact.map)]",
            f"%[req.ssl_sni,lower,map({self.files}/exact.map,b5)]",
            f"%[req.ssl_sni,map_end({self.files}/ends.map)]",
            f"%[req.ssl_sni,map_dom({self.files}/domains.map,none)]",
            f"%[req.ssl_sni,map_reg({self.files}/expressions.map)]",
            f"%[src,map_ip({self.files}/networks.map)]",
            f"b%[dst_port,map_int({self.files}/numbers.map,0)]",
            "b%[req.ssl_sni,length,mod(7)]",
            "b%[req.ssl_sni,crc32,mod(6)]",
            "%[req.ssl_alpn,field(1,/)]",
        ])

    def assignment(self):
        name = f"txn.v{len(self.variables)}"
        expression = self.lot.choice(["req.ssl_sni", "req.ssl_sni,lower", "req.ssl_sni,field(1,.)", "dst_port", "src",
                                      "req.ssl_sni,lower,regsub(^www[.],)", "req.ssl_alpn", "str(api.example.com)"])
        self.variables.append((name, "int" if expression == "dst_port" else "ip" if expression == "src" else "str"))
        return f"set-var({name}) {expression}" + (f" if {self.conjunction()}" if self.lot.random() < 0.3 else "")

    def tail(self, rare=False):
        """` if …` or ` unless …`; in a few rules, none."""
        lot = self.lot
        if not rare and lot.random() < 0.05:
            return ""
        word = lot.choice(["if", "if", "if", "unless"]) if not rare else "if"
        parts = [self.conjunction(2 if rare else 1) for _ in range(lot.choice([1, 1, 1, 2, 3]))]
        return f"{word} " + lot.choice([" or ", " || "]).join(parts)

    def conjunction(self, least=1):
        return " ".join(self.term() for _ in range(self.lot.choice([least, least, 2, 3])))

    def term(self):
        lot = self.lot
        negation = lot.choice(["", "", "", "!", "! "])
        if self.named and lot.random() < 0.4:
            return negation + lot.choice(self.named)
        if lot.random() < 0.05:
            return negation + lot.choice(["TRUE", "FALSE", "LOCALHOST", "HTTP", "REQ_CONTENT"])
        return negation + "{ " + self.criterion() + " }"

    def early_condition(self):
        """What can be told before a byte has come, and is rarely true: two things at once."""
        return " ".join("{ " + self.addresses() + " }" for _ in range(2))

    # Criteria

    def criterion(self):
        kinds = [(self.server_name, 8), (self.protocols, 2), (self.addresses, 4), (self.hello, 1), (self.computed, 3),
                 (self.payload, 1)]
        if self.variables:
            kinds.append((self.variable, 3))
        makers, weights = zip(*kinds)
        return self.lot.choices(makers, weights)[0]()

    def server_name(self):
        lot = self.lot
        fetch = lot.choice(["req.ssl_sni", "req.ssl_sni", "req_ssl_sni", "req.ssl_sni,lower", "req.ssl_sni,upper,lower"])
        if lot.random() < 0.1:
            return f"{fetch} -m found"
        if lot.random() < 0.1:
            return f"{fetch} -f {self.files}/names.lst"
        if lot.random() < 0.1:
            return f"{fetch} -m end -i -f {self.files}/suffixes.lst {self.name()}"
        if lot.random() < 0.1:
            return f"{fetch} -m len {lot.choice(['13', '14:16', 'gt 13', 'lt 15', 'le 15', 'ge 16'])}"
        match, patterns = lot.choice([
            ("", [self.name() for _ in range(lot.randint(1, 4))]),
            ("-m str", [self.name() for _ in range(lot.randint(1, 4))]),
            ("-m beg", lot.sample(LABELS, 2)),
            ("-m end", lot.sample(["example.com", ".com", "org", ".test", "1.corp.test", ""][:5], 2)),
            ("-m sub", lot.sample(["exam", "e1.c", ".org", "corp", "PI."], 2)),
            ("-m dom", lot.sample(["example", "corp.test", "api", "com", "ample"], 2)),
            ("-m reg", lot.sample(["^a[.]", "node[0-9]", "[.](org|test)$", "^[^.]+[.]example", "www"], 2)),
        ])
        return " ".join(part for part in (fetch, lot.choice(["", "-i"]), match, "--" if lot.random() < 0.1 else "",
                                          *patterns) if part)

    def protocols(self):
        return self.lot.choice(["req.ssl_alpn h2", "req.ssl_alpn -i H2 IMAP", "req.ssl_alpn acme-tls/1 http/1.1",
                                "req.ssl_alpn -m beg http", "req.ssl_alpn -m sub /1", "req.ssl_alpn -m found",
                                "req.ssl_alpn,lower -m str h2,http/1.1", "req.ssl_alpn -m end 1"])

    def addresses(self):
        lot = self.lot
        fetch, port = lot.choice(["src", "dst"]), lot.choice(["src_port", "dst_port"])
        return lot.choice([
            f"{fetch} {' '.join(lot.sample(NETWORKS, lot.randint(1, 3)))}",
            f"{fetch} -f {self.files}/networks.lst",
            f"{fetch},ipmask(24,48) {lot.choice(['10.0.0.0', '192.0.2.0', '2001:db8:1::'])}",
            f"{fetch} -m str {lot.choice(ADDRESSES)}",
            f"{port} {' '.join(str(each) for each in lot.sample(PORTS, 2))}",
            f"{port} {lot.choice(['eq', 'gt', 'ge', 'lt', 'le'])} {lot.choice(PORTS)}",
            f"{port} {lot.choice(['0:1023', '1024:65535', ':1000', '990:6000'])}",
        ])

    def hello(self):
        return self.lot.choice(["req.ssl_hello_type 1", "req_ssl_hello_type 1", "req.ssl_hello_type 2", "req.ssl_ver gt 3",
                                "req.ssl_ver 3.1:3.4", "req_ssl_ver 3.3", "req.ssl_ec_ext 1", "req.ssl_st_ext 0",
                                "always_true", "always_false", "req.len ge 5"])

    def payload(self):
        return self.lot.choice(["req.payload(0,7) -m bin 5353482d322e30", "req.payload(0,1) -m bin 16",
                                "payload(0,3) -m str GET", "req.payload_lv(3,2) -m found", "req.payload(0,4) -m beg EHL"])

    def computed(self):
        lot = self.lot
        return lot.choice([
            f"req.ssl_sni,field(1,.) {lot.choice(LABELS)} {lot.choice(LABELS)}",
            f"req.ssl_sni,lower,field(2,.,0) {lot.choice(DOMAINS)}",
            "req.ssl_sni,word(-1,.) -i com org",
            f"req.ssl_sni,lower,map({self.files}/exact.map) -m found",
            f"req.ssl_sni,lower,map({self.files}/exact.map,none) -m str b1 none b3",
            f"req.ssl_sni,map_dom({self.files}/domains.map) -m str b4",
            f"req.ssl_sni,lower,map_beg({self.files}/exact.map) -m found",
            f"src,map_ip({self.files}/networks.map) -m str b0 b2 b4",
            f"dst_port,map_int({self.files}/numbers.map,9) -m str 2 3",
            f"req.ssl_sni,crc32,mod(2) {lot.randint(0, 1)}",
            f"req.ssl_sni,lower,djb2,mod(3) {lot.randint(0, 2)}",
            f"req.ssl_sni,length gt {lot.randint(10, 18)}",
            "req.ssl_sni,bytes(0,3) -m str api www",
            "req.ssl_sni,regsub([aeiou],,g),lower -m end .xmpl.cm .crp.tst",
            "dst_port,add(1),mod(2) 0",
            f"str({lot.choice(LABELS)}) {lot.choice(LABELS)} {lot.choice(LABELS)}",
            f"int({lot.choice(PORTS)}),sub(400) lt 1000",
            f"req.ssl_sni,hex -m beg 61 6E",
        ])

    def variable(self):
        name, kind = self.lot.choice(self.variables)
        if kind == "int":
            return f"var({name}) -m int {self.lot.choice(PORTS)} 1000:6000"
        if kind == "ip":
            return f"var({name}) -m ip {self.lot.choice(NETWORKS)}"
        return self.lot.choice([f"var({name}) -m found", f"var({name}) -m str {self.name()} api",
                                f"var({name}),lower -m end example.com h2", f"var({name}),length gt 13"])
