/// Three-valued truth (Kleene's): a condition over facts that have not all arrived.
///
/// Ordered so that "and" is the lesser, "or" the greater. A false term decides a conjunction and a
/// true one a disjunction, whatever else is unknown; only what is really open waits.
enum Truth: UInt8, Comparable {
  case no = 0
  case unknown = 1
  case yes = 2

  static func < (left: Truth, right: Truth) -> Bool { left.rawValue < right.rawValue }

  static prefix func ! (truth: Truth) -> Truth {
    switch truth {
    case .no: .yes
    case .unknown: .unknown
    case .yes: .no
    }
  }

  /// What a test says; "no" is not final while more data could turn it into a "yes".
  init(_ matched: Bool, mayChange: Bool = false) {
    self = matched ? .yes : mayChange ? .unknown : .no
  }
}
