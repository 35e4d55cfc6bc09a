import Linux

/// Second copies of what a state names, for as long as an attempt to take it over may fail: who fails
/// has owners that close theirs on the way out, and somebody else has to be able to go on.
struct DescriptorCopies: ~Copyable {
  private var copies = DescriptorTable()
  private var numbers: [Int32: Int32] = [:]

  init(of state: MasterState) {
    for number in state.descriptors where numbers[number] == nil {
      guard let copy = try? Descriptor.duplicate(ofNumber: number) else { continue }
      numbers[number] = copy.numberForSuccessor
      copies.append(copy)
    }
  }

  /// Closes them: it did not fail.
  consuming func close() {}

  /// Leaves them open without an owner, and closes the originals that nobody had taken over yet:
  /// an open socket that nobody polls would swallow connections.
  ///
  /// - Returns: the copies' numbers by those of the originals.
  consuming func release() -> [Int32: Int32] {
    copies.release()
    for (original, copy) in numbers {
      // A number whose owner has closed it may be somebody else's by now.
      guard let status = Descriptor.status(ofNumber: original),
        status.isSameFile(as: Descriptor.status(ofNumber: copy))
      else { continue }
      Descriptor.inherited(original)?.close()
    }
    return numbers
  }
}

extension MasterState {
  /// The same, with other numbers; what has none is not there.
  func moved(to numbers: [Int32: Int32]) -> MasterState {
    var state = self
    state.renumber { _, number in numbers[number] ?? -1 }
    if let entries = store?.entries {
      state.store?.entries = entries.map { entry in
        var entry = entry
        entry.number = numbers[entry.number] ?? -1
        return entry
      }
    }
    return state
  }
}
