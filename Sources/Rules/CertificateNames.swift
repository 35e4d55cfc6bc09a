/// Whom the certificates of a bind are for, so that a name in a hello can be looked up.
///
/// A name in a certificate matches itself in any case; one that begins with `*.` matches exactly
/// one label in place of the star (RFC 6125 section 6.4.3; no partial wildcards, RFC 9525).
public struct CertificateNames: BitwiseCopyable, Sendable {
  /// A set among the rule set's; see ``RuleSet/certificateNames(frontend:bind:)``.
  public struct ID: BitwiseCopyable, Equatable, Sendable {
    let index: UInt32
  }

  private let exact: PatternTable
  /// Names without their `*`: `.example.com`.
  private let wildcards: PatternTable

  init(_ names: [String], in tables: inout PatternTables) {
    isEmpty = names.isEmpty
    let lowered = names.map { $0.utf8.map { CaseFolding.lower($0) } }
    let star = UInt8(ascii: "*")
    let isWildcard = { (name: [UInt8]) in name.starts(with: [star, UInt8(ascii: ".")]) }
    exact = tables.insert(
      lowered.filter { !isWildcard($0) }.map { .init($0, label: 0) },
      walk: .whole, folding: .lower)
    wildcards = tables.insert(
      lowered.filter(isWildcard).map { .init($0.dropFirst(), label: 0) },
      walk: .whole, folding: .lower)
  }

  /// Whether there is no name at all.
  let isEmpty: Bool

  func contains(_ name: Span<UInt8>, in tables: borrowing PatternTables) -> Bool {
    if tables.label(of: name, in: exact) != PatternTables.noLabel { return true }
    guard let dot = Self.firstDot(in: name), dot > 0 else { return false }
    let parent = name.extracting(dot..<name.count)
    return tables.label(of: parent, in: wildcards) != PatternTables.noLabel
  }

  private static func firstDot(in name: Span<UInt8>) -> Int? {
    for index in name.indices where name[index] == UInt8(ascii: ".") { return index }
    return nil
  }
}
