/// A number of a proxy or server that an expression names, to be checked once all are read.
struct GaugeReference {
  let kind: SampleExpression.Gauge.Kind
  let target: SampleExpression.Target
  let span: SourceSpan
}

/// `sess.name`, `txn.name`, `req.name`, `proc.name`, and the slots of captures.
extension ConfigurationReader {
  /// Slots that one frontend can capture into.
  static let mostCaptures = 32
  /// Variables of one configuration: each takes a place in every connection.
  private static let mostVariables = 256

  private static let scopes = ["sess", "txn", "req"]

  /// The index of the variable `name`, for a connection's variables.
  mutating func variableIndex(_ name: String, _ span: SourceSpan) throws(Diagnostic) -> Int {
    let (scope, tail) = name.split(atFirst: ".")
    guard let tail, !tail.isEmpty, tail.utf8.allSatisfy({ $0.isVariableName || $0 == 0x2e }) else {
      throw span.error(
        "'\(name)' is not the name of a variable", hint: "expected a scope and a name: sess.name")
    }
    switch scope {
    case "sess", "txn", "req": break
    case "proc":
      throw span.error(
        "'\(name)' has no place here: it is set in 'global', and read by 'var(\(name))'",
        hint: "variables of 'sess.' are set by rules, and live as long as a connection")
    case "res", "check":
      throw span.error(
        "variables of '\(scope)' are not supported in this version",
        hint: "servers' answers and checks run no rules")
    default:
      throw span.error(
        "unknown scope '\(scope)'", hint: "expected sess, txn, req or proc",
        suggestion: Suggestion.nearest(to: scope, among: Self.scopes + ["proc"]))
    }
    return try index(ofVariable: name, span)
  }

  private mutating func index(ofVariable name: String, _ span: SourceSpan) throws(Diagnostic) -> Int
  {
    if let known = variableIndices[name] { return known }
    guard variables.count < Self.mostVariables else {
      throw span.error("there are more than \(Self.mostVariables) variables")
    }
    variables.append(Variable(name: name))
    variableIndices[name] = variables.count - 1
    return variables.count - 1
  }

  /// `var(name[,default])`. One of `proc.` is what `global` sets it to.
  mutating func variable(_ call: Call) throws(Diagnostic) -> SampleExpression {
    try call.require(1...2, "sess.name")
    let name = call.text(0)
    if name.hasPrefix("proc.") {
      if let expression = processVariables[name] { return expression }
      let text = call.count == 2 ? call.bytes(1) : nil
      guard let text else {
        throw call.error(
          "nothing sets '\(name)'", hint: "expected 'set-var \(name) …' in 'global' above")
      }
      return SampleExpression(fetch: .constant(.string(text)))
    }
    let index = try variableIndex(name, call.span)
    return SampleExpression(
      fetch: .variable(index, default: call.count == 2 ? call.bytes(1) : nil))
  }

  /// The variable behind a slot of captures. A slot's number means the same in each frontend, and
  /// a connection has one frontend.
  mutating func captureVariable(_ slot: Int) -> Int {
    while captures.count <= slot {
      variables.append(Variable(name: ""))
      captures.append(variables.count - 1)
    }
    return captures[slot]
  }

  // MARK: global

  /// `set-var proc.name EXPRESSION` in `global`: evaluated once, so it must be the same for ever.
  mutating func setProcessVariable(_ statement: inout Statement) throws(Diagnostic) {
    let word = try statement.require("the name of a variable, such as proc.name")
    guard word.text.hasPrefix("proc."), word.text.utf8.count > 5 else {
      throw statement.span(of: word).error(
        "'\(word.text)' cannot be set in 'global'", hint: "expected proc. and a name")
    }
    let expressionWord = try statement.require("an expression, such as str(text)")
    let expression = try sample(expressionWord, of: statement)
    guard expression.isConstant else {
      throw statement.span(of: expressionWord).error(
        "'\(expressionWord.text)' is not the same for all connections",
        hint: "expected str(), int(), bool(), bin(), ipv4(), ipv6() or env(), and converters")
    }
    processVariables[word.text] = expression
  }
}

extension SampleExpression {
  /// Whether it gives the same whenever it is asked.
  fileprivate var isConstant: Bool {
    guard case .constant = fetch else { return false }
    return converters.allSatisfy { converter in
      switch converter {
      case .concatenate(_, let variable, _): variable == nil
      case .arithmetic(_, .variable), .compare, .setVariable, .unsetVariable: false
      default: true
      }
    }
  }
}
