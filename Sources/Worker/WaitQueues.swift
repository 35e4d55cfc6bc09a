import Ledger
import Linux
import Synchronization

/// Connections of this worker that wait for a server to have a place.
///
/// Each backend has a queue, and each server one for those that must have that server. Who waits
/// draws a ticket from the backend, over all workers; a worker publishes its oldest ticket of each
/// queue in the ledger, so that whoever frees a place knows whose turn it is and rings there. A
/// connection is therefore overtaken only by those whose worker hears the bell sooner.
struct WaitQueues: ~Copyable {
  struct Link: BitwiseCopyable {
    /// Neighbours, plus one; 0 for none.
    var ahead: Int32
    var behind: Int32
    /// The queue it waits in, plus one; 0 for none.
    var queue: Int32
    var ticket: UInt64
  }

  private var links: Region<Link>
  private var heads: [Int32]
  private var tails: [Int32]
  private let backends: Int
  /// How many wait.
  private(set) var count = 0

  init(connections: Int, backends: Int, servers: Int) throws(Errno) {
    links = try Region(count: connections)
    heads = Array(repeating: 0, count: backends + servers)
    tails = heads
    self.backends = backends
  }

  /// The queue of a backend, or of one of its servers.
  func queue(backend: Int, wanted: Int) -> Int { wanted < 0 ? backend : backends + wanted }

  func isEmpty(_ queue: Int) -> Bool { heads[queue] == 0 }

  /// Puts a connection in a queue, at the end: its ticket is the newest.
  mutating func append(_ connection: Int, to queue: Int, ticket: UInt64, _ slot: Slot) {
    slot.beginToWait()
    attach(connection, to: queue, ticket: ticket, slot)
  }

  /// Takes a connection out of its queue while its turn, which the slot counts, goes to another
  /// worker.
  ///
  /// - Returns: its ticket.
  mutating func detach(_ connection: Int, _ slot: Slot) -> UInt64 {
    let ticket = links[connection].ticket
    publish(unlink(connection), slot)
    return ticket
  }

  /// Puts a connection, whose turn the slot counts already, where its ticket belongs: those who came
  /// to this worker before it may have later ones.
  mutating func attach(_ connection: Int, to queue: Int, ticket: UInt64, _ slot: Slot) {
    var ahead = tails[queue]
    while ahead != 0, links[Int(ahead - 1)].ticket > ticket { ahead = links[Int(ahead - 1)].ahead }
    let behind = ahead == 0 ? heads[queue] : links[Int(ahead - 1)].behind
    links[connection] = Link(
      ahead: ahead, behind: behind, queue: Int32(queue + 1), ticket: ticket)
    if ahead == 0 {
      heads[queue] = Int32(connection + 1)
    } else {
      links[Int(ahead - 1)].behind = Int32(connection + 1)
    }
    if behind == 0 {
      tails[queue] = Int32(connection + 1)
    } else {
      links[Int(behind - 1)].ahead = Int32(connection + 1)
    }
    count += 1
    publish(queue, slot)
    // The place that is freed while this is written must not be missed: either the one who frees
    // it sees us waiting, or we see it free when we look next.
    atomicMemoryFence(ordering: .sequentiallyConsistent)
  }

  mutating func remove(_ connection: Int, _ slot: Slot) {
    let queue = unlink(connection)
    slot.endWait()
    publish(queue, slot)
  }

  /// - Returns: the queue that it was in.
  private mutating func unlink(_ connection: Int) -> Int {
    let link = links[connection]
    let queue = Int(link.queue - 1)
    if link.ahead == 0 {
      heads[queue] = link.behind
    } else {
      links[Int(link.ahead - 1)].behind = link.behind
    }
    if link.behind == 0 {
      tails[queue] = link.ahead
    } else {
      links[Int(link.behind - 1)].ahead = link.ahead
    }
    links[connection] = Link(ahead: 0, behind: 0, queue: 0, ticket: 0)
    count -= 1
    return queue
  }

  /// The first who waits in any queue: one who waits longer than those behind it.
  var firstOfAll: Int? { heads.first { $0 != 0 }.map { Int($0 - 1) } }

  func first(of queue: Int) -> Int? { heads[queue] == 0 ? nil : Int(heads[queue] - 1) }

  private func publish(_ queue: Int, _ slot: Slot) {
    let ticket = heads[queue] == 0 ? 0 : links[Int(heads[queue] - 1)].ticket + 1
    slot.own[.oldestTicket].store(ticket)
  }
}

extension SharedLedger {
  /// The lane whose turn it is at a slot's queue, and its ticket; nil when nobody waits.
  func longestWaiting(slot: Int) -> (lane: Int, ticket: UInt64)? {
    var best: (lane: Int, ticket: UInt64)?
    for lane in 0..<lanesEverUsed {
      let ticket = counters(slot: slot, lane: lane)[.oldestTicket].value
      if ticket != 0, best.map({ ticket < $0.ticket }) ?? true { best = (lane, ticket) }
    }
    return best
  }
}
