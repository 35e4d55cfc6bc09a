import Configuration

/// What rules are compiled to: trivial structs in arrays, which refer to each other by index.
/// Reading them counts no reference and allocates nothing.
///
///     Program ─► Step ─► Condition ─► alternatives ─► Term ─► Criterion ─► patterns
///                  └───► Lookup ───────────────────────────────────────────► tables

/// A list of rules: of one kind, of one proxy.
struct Program: BitwiseCopyable {
  /// Among the rule set's steps.
  var steps = Slice.empty
  /// What each rule leads to, by its place in the list, among the rule set's targets: the raw
  /// value of a verdict, or the index of a backend or server.
  var targets = Slice.empty
  var needs: Needs = []

  var isEmpty: Bool { steps.indices.isEmpty }
}

/// A rule, or a run of rules that one lookup decides.
struct Step: BitwiseCopyable {
  enum Test: BitwiseCopyable {
    /// No condition.
    case always
    /// Index of the condition.
    case condition(UInt32)
    /// Index of the lookup, whose labels are places in the list of rules.
    case lookup(UInt32)
  }

  var test: Test
  /// The place of the rule in its list; of the last one, for a run.
  var lastRule: UInt32
}

struct CompiledCondition: BitwiseCopyable {
  /// `unless`.
  var isNegated: Bool
  /// Any of these; each is a slice of the terms, of which all must hold.
  var alternatives: Slice
}

struct CompiledTerm: BitwiseCopyable {
  var isNegated: Bool
  /// The lines of an ACL, of which one must hold.
  var criteria: Slice
}

/// One sample and the test it is put to.
struct CompiledCriterion: BitwiseCopyable {
  enum Test: BitwiseCopyable {
    case found
    /// As a number, other than zero.
    case nonzero
    /// As a number, in a set of ranges.
    case integer(Slice)
    case address(Slice)
    /// As text, in one of the tables. Folding is the table's.
    case text(UInt32)
    /// The count of its bytes, in a set of ranges.
    case length(Slice)
    case expression(Slice)
  }

  var fetch: CompiledFetch
  /// Whether the sample is bytes that are read as a string, which ends before its first NUL.
  var endsAtNUL = false
  /// The case converters, which come down to the last of them.
  var folding: CaseFolding
  var test: Test
}

/// Like `SampleExpression.Fetch`, and as trivial.
enum CompiledFetch: BitwiseCopyable {
  case source, sourcePort, destination, destinationPort
  case serverName, serverNameInCertificate, helloType, helloVersion, applicationProtocols
  case helloTicket, helloHasGroups
  case helloList(SampleExpression.HelloList)
  case requestLength
  case payload(offset: UInt32, length: UInt32)
  case payloadByLength(offset: UInt32, size: UInt32, second: Int32, isRelative: Bool)
  case waitEnd
  case protocolHTTP
  case always(Bool)
  case constant(ConstantSample)
  case variable(UInt32, default: Constant?)
  case random(below: Int)
  case date(offset: Int, SampleExpression.TimeUnit)
  case process(SampleExpression.ProcessFact)
  case identity(SampleExpression.Identity)
  case gauge(CompiledGauge)
  /// What an expression gives, by its index: more than a fetch and a change of case.
  case computed(UInt32, needs: Needs)
  /// A payload that no buffer is large enough for.
  case never

  var needs: Needs {
    switch self {
    case .source, .sourcePort, .destination, .destinationPort, .always, .never, .constant,
      .variable, .random, .date, .process, .identity, .gauge:
      []
    case .serverName, .serverNameInCertificate, .helloType, .helloVersion, .applicationProtocols,
      .helloTicket, .helloHasGroups, .helloList:
      .hello
    case .requestLength, .payload, .payloadByLength, .waitEnd, .protocolHTTP: .request
    case .computed(_, let needs): needs
    }
  }

  /// Whether the sample is text that stays what it is once it is there. Rules over such samples
  /// can be decided out of order: one lookup for many.
  var isSettledText: Bool { settledText != nil }

  /// Which of the texts of a hello it is.
  var settledText: SettledText? {
    switch self {
    case .serverName: .serverName
    case .applicationProtocols: .applicationProtocols
    default: nil
    }
  }
}

enum SettledText: BitwiseCopyable {
  case serverName, applicationProtocols
}

/// A run of rules over one sample.
struct Lookup: BitwiseCopyable {
  var fetch: SettledText
  /// Indices of tables, adjacent.
  var tables: Slice
}
