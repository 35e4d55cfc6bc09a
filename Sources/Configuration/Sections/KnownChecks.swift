/// Checks that are known by the name of their protocol, written as scripts.
extension ConfigurationReader {
  static let knownChecks: Set<String> = [
    "ldap-check", "mysql-check", "pgsql-check", "redis-check", "smtpchk", "ssl-hello-chk",
  ]

  func readKnownCheck(_ name: String, _ statement: inout Statement) throws(Diagnostic)
    -> CheckScript
  {
    switch name {
    case "redis-check": .redis
    case "ldap-check": .ldap
    case "ssl-hello-chk": .sslHello
    case "smtpchk": .smtp(greeting: try smtpGreeting(&statement))
    case "pgsql-check": .postgres(user: try user(&statement))
    default: try mySQL(&statement)
    }
  }

  private func smtpGreeting(_ statement: inout Statement) throws(Diagnostic) -> String {
    guard let verb = statement.next() else { return "HELO localhost" }
    let domain = statement.next()
    guard ["EHLO", "HELO"].contains(verb.text), let domain else { return "HELO localhost" }
    return "\(verb.text) \(domain.text)"
  }

  private func user(_ statement: inout Statement) throws(Diagnostic) -> String {
    let word = try statement.require("'user' and a name")
    guard word.text == "user" else {
      throw statement.span(of: word).error(
        "unexpected '\(word.text)'", hint: "expected 'user' and a name")
    }
    let name = try statement.require("the name of a user")
    guard 1...64 ~= name.text.utf8.count, !name.text.utf8.contains(0) else {
      throw statement.span(of: name).error("'\(name.text)' is no name of a user")
    }
    return name.text
  }

  private func mySQL(_ statement: inout Statement) throws(Diagnostic) -> CheckScript {
    guard !statement.isAtEnd else { return .mySQLGreeting }
    let name = try user(&statement)
    guard !statement.isAtEnd else { return .mySQL(user: name, .post41) }
    return .mySQL(
      user: name,
      try statement.choice(
        "protocol", ["pre-41": .pre41, "post-41": .post41, "post-80": .post80]))
  }
}

extension CheckScript {
  private static func script(_ actions: [CheckStep.Action]) -> CheckScript {
    CheckScript(
      .known,
      steps: [.connect]
        + actions.enumerated().map { CheckStep(number: $0 + 1, $1) })
  }

  /// Those that the reference begins with a connection of its own, which counts as a step.
  private static func scriptWithConnection(_ actions: [CheckStep.Action]) -> CheckScript {
    var connect = CheckConnect()
    connect.lingers = true
    return CheckScript(
      .known,
      steps: ([.connect(connect)] + actions).enumerated().map {
        CheckStep(number: $0 + 1, $1)
      })
  }

  private static func expect(
    _ pattern: CheckExpectation.Pattern, _ change: (inout CheckExpectation) -> Void
  ) -> CheckStep.Action {
    var expectation = CheckExpectation(pattern)
    change(&expectation)
    return .expect(expectation)
  }

  private static func text(_ text: String) -> CheckMessage { CheckMessage([.text(text)]) }

  private static func line(from offset: Int, trimmed: Bool = false) -> CheckMessage {
    CheckMessage([
      .excerpt(CheckExcerpt(offset: offset, length: 0, endsWithLine: true, isTrimmed: trimmed))
    ])
  }

  static let redis = script([
    .send(Array("*1\r\n$4\r\nPING\r\n".utf8)),
    expect(.string(Array("+PONG\r\n".utf8))) {
      $0.errorStatus = .layer7Status
      $0.errorText = line(from: 0)
      $0.successText = text("Redis server is ok")
    },
  ])

  /// An anonymous bind (RFC 4511 section 4.2).
  static let ldap = script([
    .send([0x30, 0x0c, 2, 1, 1, 0x60, 7, 2, 1, 3, 4, 0, 0x80, 0]),
    expect(.binaryExpression("^30")) {
      $0.minimumLength = 14
      $0.errorText = text("Not LDAPv3 protocol")
    },
    .expect(CheckExpectation(.ldapBindResponse)),
  ])

  static func smtp(greeting: String) -> CheckScript {
    let code = CheckExcerpt(offset: 0, length: 3)
    return scriptWithConnection([
      expect(.expression("^[0-9]{3}[ \r]")) {
        $0.minimumLength = 4
        $0.errorStatus = .layer7Response
        $0.errorText = line(from: 0)
      },
      expect(.expression("^2[0-9]{2}[ \r]")) {
        $0.minimumLength = 4
        $0.errorStatus = .layer7Status
        $0.errorText = line(from: 4, trimmed: true)
        $0.code = code
      },
      .send(Array("\(greeting)\r\n".utf8)),
      expect(.expression("^(2[0-9]{2}-[^\r]*\r\n)*2[0-9]{2}[ \r]")) {
        $0.errorStatus = .layer7Status
        $0.errorText = line(from: 4, trimmed: true)
        $0.successText = line(from: 4, trimmed: true)
        $0.code = code
      },
      .send(Array("QUIT\r\n".utf8)),
      expect(.expression("^2[0-9]{2}[- \r]")) {
        $0.minimumLength = 4
        $0.errorStatus = .layer7Status
        $0.errorText = line(from: 4, trimmed: true)
        $0.successText = line(from: 4, trimmed: true)
        $0.code = code
      },
    ])
  }

  /// A StartupMessage of protocol 3.0; any request for authentication will do as an answer.
  static func postgres(user: String) -> CheckScript {
    let parameters = Array("user".utf8) + [0] + Array(user.utf8) + [0, 0]
    let length = UInt32(8 + parameters.count)
    let bytes = (0..<4).map { UInt8(truncatingIfNeeded: length >> (24 - 8 * $0)) }
    return scriptWithConnection([
      .send(bytes + [0, 3, 0, 0] + parameters),
      expect(.expression("^E")) {
        $0.isNegated = true
        $0.minimumLength = 5
        $0.errorStatus = .layer7Response
        $0.errorText = CheckMessage([.excerpt(CheckExcerpt(offset: 6, length: 0))])
      },
      expect(.binaryExpression("^52000000[A-Z0-9]{2}000000(00|02|03|04|05|06|07|09|0A)")) {
        $0.minimumLength = 9
        $0.errorStatus = .layer7Status
        $0.successText = text("PostgreSQL server is ok")
        $0.errorText = text("PostgreSQL unknown error")
      },
    ])
  }

  static let mySQLGreeting = scriptWithConnection([.expect(CheckExpectation(.mySQLGreeting))])

  /// How old the server is that is logged in to.
  enum MySQLProtocol {
    case pre41, post41, post80
  }

  /// A login without a password, and COM_QUIT, in one packet each.
  static func mySQL(user: String, _ version: MySQLProtocol) -> CheckScript {
    let name = Array(user.utf8) + [0]
    let login: [UInt8] =
      switch version {
      case .pre41: [0, 0x80, 0, 0, 1] + name + [0]
      case .post41:
        [0, 0x82, 0, 0, 0, 0x80, 0, 1, 0x21] + [UInt8](repeating: 0, count: 23) + name + [0]
      case .post80:
        [0, 0x82, 8, 0, 0, 0x80, 0, 1, 0x21] + [UInt8](repeating: 0, count: 23) + name + [0]
          + Array("mysql_native_password".utf8) + [0]
      }
    let header: [UInt8] = [UInt8(login.count), 0, 0, 1]
    let quit: [UInt8] = [1, 0, 0, 0, 1]
    return scriptWithConnection([
      .send(header + login + quit),
      .expect(CheckExpectation(.mySQLGreeting)),
      .expect(CheckExpectation(.mySQLAnswer)),
    ])
  }

  /// A hello of TLS 1.0 to 1.2 that asks for nothing in particular: whoever answers with a
  /// handshake, or an alert, speaks TLS. (The reference sends one of SSLv3, which modern servers
  /// close on.)
  static let sslHello = script([
    .send(helloBytes),
    expect(.binaryExpression("^1[56]")) {
      $0.minimumLength = 5
      $0.okStatus = .layer6OK
      $0.errorStatus = .layer6Response
      $0.timeoutStatus = .layer6Timeout
    },
  ])

  private static let helloBytes: [UInt8] = {
    let suites: [UInt8] = [
      0xc0, 0x2f, 0xc0, 0x2b, 0xc0, 0x30, 0xc0, 0x2c, 0xcc, 0xa8, 0xcc, 0xa9, 0xc0, 0x13, 0xc0,
      0x14, 0x00, 0x9c, 0x00, 0x9d, 0x00, 0x2f, 0x00, 0x35,
    ]
    let extensions: [UInt8] = [
      0, 10, 0, 8, 0, 6, 0, 29, 0, 23, 0, 24,  // groups: x25519, P-256, P-384
      0, 11, 0, 2, 1, 0,  // uncompressed points
      0, 13, 0, 14, 0, 12, 4, 3, 5, 3, 6, 3, 4, 1, 5, 1, 6, 1,  // ECDSA and RSA with SHA-2
    ]
    let random = Array("sluice checks that TLS lives here"[...].utf8.prefix(32))
    let body: [UInt8] =
      [3, 3] + random + [0, 0, UInt8(suites.count)] + suites + [1, 0, 0, UInt8(extensions.count)]
      + extensions
    let handshake: [UInt8] = [1, 0, 0, UInt8(body.count)] + body
    return [0x16, 3, 1, 0, UInt8(handshake.count)] + handshake
  }()
}
