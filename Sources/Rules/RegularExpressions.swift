private import CPCRE2
import Configuration

/// The compiled patterns of `-m reg`, and the one workspace that all matches share.
///
/// Everything is allocated when the rules are compiled, before the fork: a match allocates
/// nothing as long as the patterns run as machine code. Where the process may not make memory
/// executable (`MemoryDenyWriteExecute=`), PCRE2 interprets them instead, and grows its workspace
/// when a pattern first needs more.
///
/// The subject is what a stranger sent, so the work of a match is bounded: one that reaches the
/// limit counts as no match, as in the reference.
///
/// This is the only file of its room that touches pointers.
@safe struct RegularExpressions: ~Copyable {
  /// How often PCRE2 may try at one subject: a few milliseconds at worst. Honest patterns on a
  /// name of 255 bytes take some hundreds.
  private static let matchLimit: UInt32 = 200_000
  /// How deep, and with how much memory in KiB, the interpreter may go.
  private static let depthLimit: UInt32 = 1_000
  private static let heapLimit: UInt32 = 4_096
  /// The whole match, and `\1` to `\9`.
  private static let groups: UInt32 = 10
  private static let jitStack = (start: 32 * 1024, maximum: 512 * 1024)

  private var codes: [OpaquePointer] = unsafe []
  private let matchData: OpaquePointer
  private let context: OpaquePointer
  private let stack: OpaquePointer?
  /// Where a subject is folded that a case converter changes.
  private let folded: UnsafeMutableBufferPointer<UInt8>

  /// - Parameter longestSubject: Bytes of the longest subject; what is longer is cut.
  init(longestSubject: Int) {
    guard let matchData = unsafe pcre2_match_data_create_8(Self.groups, nil),
      let context = unsafe pcre2_match_context_create_8(nil)
    else { fatalError("out of memory") }
    unsafe self.matchData = matchData
    unsafe self.context = context
    unsafe pcre2_set_match_limit_8(context, Self.matchLimit)
    unsafe pcre2_set_depth_limit_8(context, Self.depthLimit)
    unsafe pcre2_set_heap_limit_8(context, Self.heapLimit)
    unsafe stack = pcre2_jit_stack_create_8(Self.jitStack.start, Self.jitStack.maximum, nil)
    if let stack = unsafe stack {
      unsafe pcre2_jit_stack_assign_8(context, nil, UnsafeMutableRawPointer(stack))
    }
    unsafe folded = .allocate(capacity: longestSubject)
  }

  deinit {
    for index in unsafe codes.indices { unsafe pcre2_code_free_8(codes[index]) }
    unsafe pcre2_match_data_free_8(matchData)
    unsafe pcre2_match_context_free_8(context)
    if let stack = unsafe stack { unsafe pcre2_jit_stack_free_8(stack) }
    unsafe folded.deallocate()
  }

  /// Compiles one more pattern; its index is the count before.
  ///
  /// Groups do not capture unless they are asked for, as in the reference: back references are
  /// errors then.
  mutating func compile(
    _ pattern: String, ignoresCase: Bool, captures: Bool = false
  ) throws(RegularExpressionFault) {
    let compiled = try unsafe Self.code(
      of: pattern, ignoresCase: ignoresCase, captures: captures)
    // Without executable memory the pattern is interpreted: slower, and the same result.
    _ = unsafe pcre2_jit_compile_8(compiled, PCRE2_JIT_COMPLETE)
    unsafe codes.append(compiled)
  }

  private static func code(
    of pattern: String, ignoresCase: Bool, captures: Bool = false
  ) throws(RegularExpressionFault) -> OpaquePointer {
    let options = (captures ? 0 : PCRE2_NO_AUTO_CAPTURE) | (ignoresCase ? PCRE2_CASELESS : 0)
    var code: CInt = 0
    var offset = 0
    let bytes = Array(pattern.utf8)
    let compiled = unsafe bytes.withUnsafeBufferPointer {
      unsafe pcre2_compile_8($0.baseAddress, $0.count, options, &code, &offset, nil)
    }
    guard let compiled = unsafe compiled else {
      throw RegularExpressionFault(message: message(of: code), offset: offset)
    }
    return unsafe compiled
  }

  /// What is wrong with a pattern, if anything.
  static func fault(of pattern: String, ignoresCase: Bool) -> RegularExpressionFault? {
    do throws(RegularExpressionFault) {
      let compiled = try unsafe code(of: pattern, ignoresCase: ignoresCase)
      unsafe pcre2_code_free_8(compiled)
      return nil
    } catch {
      return error
    }
  }

  var count: Int { unsafe codes.count }

  fileprivate static func message(of code: CInt) -> String {
    var buffer = [UInt8](repeating: 0, count: 256)
    let length = unsafe buffer.withUnsafeMutableBufferPointer {
      unsafe pcre2_get_error_message_8(code, $0.baseAddress, $0.count)
    }
    return String(decoding: buffer.prefix(max(0, Int(length))), as: UTF8.self)
  }

  /// Whether any of the patterns in `set` is found in `text`.
  borrowing func anyMatches(_ text: borrowing Text, in set: Slice) -> Bool {
    guard text.folding != .none else {
      return unsafe text.bytes.withUnsafeBufferPointer { unsafe search($0, set) }
    }
    let count = unsafe min(text.count, folded.count)
    for index in 0..<count { unsafe folded[index] = text[index] }
    return unsafe search(UnsafeBufferPointer(rebasing: folded[..<count]), set)
  }

  private borrowing func search(_ subject: UnsafeBufferPointer<UInt8>, _ set: Slice) -> Bool {
    // PCRE2 10.42 wants an address for an empty subject too.
    let start = unsafe subject.baseAddress ?? UnsafePointer(folded.baseAddress)
    for index in set.indices {
      let found = unsafe pcre2_match_8(
        codes[index], start, subject.count, 0, 0, matchData, context)
      if found >= 0 { return true }
    }
    return false
  }

  /// The first of the patterns in `set`, by its place in it, that is found in `text`.
  borrowing func firstMatch(_ text: Span<UInt8>, in set: Slice) -> UInt32? {
    for index in set.indices {
      let one = Slice(index..<index + 1)
      let found = unsafe text.withUnsafeBufferPointer { unsafe search($0, one) }
      if found { return UInt32(index - set.start) }
    }
    return nil
  }

  /// Puts a sample on its other side with what a pattern finds replaced.
  ///
  /// In the replacement `\0` is what was found, `\1` to `\9` its groups.
  ///
  /// - Returns: where the result ends.
  borrowing func substitute(
    _ pattern: Int, replacement: Span<UInt8>, all: Bool, in sample: Sample,
    _ bench: borrowing Workbench
  ) -> Int {
    let side = sample.otherSide
    let subject = bench.span(sample)
    var end = 0
    var position = 0
    while position <= subject.count {
      let valid = find(pattern, in: subject, from: position)
      guard let found = group(0, of: valid) else { break }
      end = bench.put(subject.extracting(position..<found.lowerBound), on: side, at: end)
      end = put(replacement, of: subject, groups: valid, on: side, at: end, bench)
      position = found.upperBound
      if found.isEmpty {
        if position < subject.count { end = bench.put(subject[position], on: side, at: end) }
        position += 1
      }
      if !all { break }
    }
    guard position < subject.count else { return end }
    return bench.put(subject.extracting(position..<subject.count), on: side, at: end)
  }

  /// Looks for a pattern.
  ///
  /// - Returns: how many of the groups this match has written, the whole of it being the first; 0
  ///   if there is none.
  private borrowing func find(_ pattern: Int, in subject: Span<UInt8>, from: Int) -> Int {
    let count = unsafe subject.withUnsafeBufferPointer { buffer in
      let start = unsafe buffer.baseAddress ?? UnsafePointer(folded.baseAddress)
      return unsafe pcre2_match_8(
        codes[pattern], start, buffer.count, from, 0, matchData, context)
    }
    guard count >= 0 else { return 0 }
    // 0 says that the pattern has more groups than there is room for.
    return count == 0 ? Int(Self.groups) : Int(count)
  }

  /// Where a group of the last match was found, of which so many are `valid`: behind them lies what
  /// an earlier match has left. Nil if it took no part.
  private borrowing func group(_ number: Int, of valid: Int) -> Range<Int>? {
    guard number < valid, let offsets = unsafe pcre2_get_ovector_pointer_8(matchData) else {
      return nil
    }
    let start = unsafe offsets[2 * number]
    let end = unsafe offsets[2 * number + 1]
    // PCRE2_UNSET is all ones, which is negative here.
    return start >= 0 && start <= end ? start..<end : nil
  }

  private borrowing func put(
    _ replacement: Span<UInt8>, of subject: Span<UInt8>, groups valid: Int, on side: Int,
    at start: Int, _ bench: borrowing Workbench
  ) -> Int {
    var end = start
    var index = 0
    while index < replacement.count {
      let byte = replacement[index]
      let next = index + 1 < replacement.count ? replacement[index + 1] : 0
      if byte == UInt8(ascii: "\\"), (0x30...0x39).contains(next) {
        if let range = group(Int(next) - 0x30, of: valid) {
          end = bench.put(subject.extracting(range), on: side, at: end)
        }
        index += 2
        continue
      }
      if byte == UInt8(ascii: "\\"), next != 0 { index += 1 }
      end = bench.put(replacement[index], on: side, at: end)
      index += 1
    }
    return end
  }
}

/// One pattern that stands alone, as checks of servers have them: matched a few times a second at
/// most, by whichever thread checks.
///
/// What it searches comes from servers, so the work of a match is bounded here too.
@safe public final class SolePattern: @unchecked Sendable {
  private static let matchLimit: UInt32 = 200_000
  // Never changed after it was made: PCRE2 lets threads share a compiled pattern.
  private let code: OpaquePointer

  /// - Throws: why it is none, in PCRE2's words.
  public init(_ pattern: String) throws(SolePatternError) {
    var code: CInt = 0
    var offset = 0
    let bytes = Array(pattern.utf8)
    let compiled = unsafe bytes.withUnsafeBufferPointer {
      unsafe pcre2_compile_8($0.baseAddress, $0.count, PCRE2_NO_AUTO_CAPTURE, &code, &offset, nil)
    }
    guard let compiled = unsafe compiled else {
      throw SolePatternError(message: RegularExpressions.message(of: code), offset: offset)
    }
    unsafe self.code = compiled
  }

  deinit { unsafe pcre2_code_free_8(code) }

  /// Whether it is found in `bytes`. A search that takes too long has found nothing.
  public func isFound(in bytes: [UInt8]) -> Bool {
    guard let context = unsafe pcre2_match_context_create_8(nil),
      let data = unsafe pcre2_match_data_create_8(1, nil)
    else { return false }
    defer {
      unsafe pcre2_match_data_free_8(data)
      unsafe pcre2_match_context_free_8(context)
    }
    unsafe pcre2_set_match_limit_8(context, Self.matchLimit)
    // PCRE2 10.42 wants an address for an empty subject too.
    let subject = bytes.isEmpty ? [0] : bytes
    return unsafe subject.withUnsafeBufferPointer {
      unsafe pcre2_match_8(code, $0.baseAddress, bytes.count, 0, 0, data, context) >= 0
    }
  }
}

/// Why a pattern is none.
public struct SolePatternError: Error {
  public let message: String
  /// Bytes into the pattern.
  public let offset: Int
}
