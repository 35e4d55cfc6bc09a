import Glibc
import Testing

@testable import Linux

@Suite("Ownership of descriptors")
struct OwnershipTests {
  @Test("an owner closes when it goes, and not before")
  func owner() throws {
    let (number, canary) = try Canary.make()
    do {
      let owner = Descriptor(adopting: number)
      #expect(canary.isAlive)
      owner.close()
    }
    #expect(canary.isGone)
  }

  @Test("a duplicate keeps the file open after the first owner is gone")
  func duplicate() throws {
    let (number, canary) = try Canary.make()
    var second: Descriptor?
    do {
      let first = Descriptor(adopting: number)
      second = try first.duplicate()
    }
    #expect(canary.isAlive)
    #expect(second.isNone == false)
    second = nil
    #expect(canary.isGone)
  }

  @Test("only open numbers are inherited, and they do not pass on by themselves")
  func inherited() throws {
    let (number, canary) = try Canary.make()
    _ = fcntl(number, F_SETFD, 0)
    do {
      var owner = Descriptor.inherited(number)
      #expect(owner.isNone == false)
      #expect(fcntl(number, F_GETFD) == FD_CLOEXEC)
      let descriptor = try owner.take().found()
      #expect(try descriptor.keepAcrossExec() == number)
      #expect(fcntl(number, F_GETFD) == 0)
      try descriptor.closeOnExec()
      #expect(fcntl(number, F_GETFD) == FD_CLOEXEC)
    }
    #expect(canary.isGone)
    let none = Descriptor.inherited(999_983)
    #expect(none.isNone == true)
    let negative = Descriptor.inherited(-1)
    #expect(negative.isNone == true)
  }

  @Test("a descriptor closed behind its owner's back stops the process")
  func closedBehind() async {
    await #expect(processExitsWith: .failure) {
      var ends: [CInt] = [-1, -1]
      pipe(&ends)
      let owner = Descriptor(adopting: ends[0])
      Glibc.close(ends[0])
      owner.close()
    }
  }

  @Test("a table closes what it holds, gives out what is removed, and grows")
  func table() throws {
    let count = 100
    var canaries = [Canary]()
    var removed = DescriptorTable()
    do {
      var table = DescriptorTable()
      let isEmpty = table.isEmpty
      #expect(isEmpty)
      var numbers: [CInt] = []
      for _ in 0..<count {
        let (number, canary) = try Canary.make()
        numbers.append(number)
        canaries.append(canary)
        table.append(Descriptor(adopting: number))
      }
      #expect(table.count == count)
      for index in 0..<count { #expect(table[index].number == numbers[index]) }

      // The last one takes the place of the one taken out.
      removed.append(table.remove(at: 10))
      #expect(removed[0].number == numbers[10])
      #expect(table[10].number == numbers[count - 1])
      removed.append(table.remove(at: count - 2))
      #expect(removed[1].number == numbers[count - 2])
      #expect(table.count == count - 2)
      #expect(canaries.allSatisfy { $0.isAlive })
    }
    for (index, canary) in canaries.enumerated() {
      let isRemoved = index == 10 || index == count - 2
      #expect(isRemoved ? canary.isAlive : canary.isGone, "\(index)")
    }
    removed = DescriptorTable()
    #expect(canaries.allSatisfy { $0.isGone })
  }

  @Test("a pile of pipes gives the last one first, and closes what is left")
  func pipes() throws {
    var watched = DescriptorTable()
    do {
      var stack = PipeStack(capacity: 3)
      let empty = stack.pop()
      #expect(empty.isNone == true)
      var numbers: [CInt] = []
      for _ in 0..<3 {
        let isFull = stack.isFull
        #expect(!isFull)
        let pipe = try Pipe(size: 4096)
        watched.append(try pipe.outlet.duplicate())
        numbers.append(pipe.inlet.number)
        stack.push(pipe)
      }
      let isFull = stack.isFull
      #expect(isFull && stack.count == 3)
      var popped = stack.pop()
      let last = try popped.take().found()
      #expect(last.inlet.number == numbers[2])
      #expect(stack.count == 2)
      for index in 0..<3 { #expect(try watched[index].readOnce() == .blocked) }
    }
    for index in 0..<3 { #expect(watched[index].ends() == true) }
  }
}
