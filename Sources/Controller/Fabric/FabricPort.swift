import Linux
import Synchronization
import Wire

/// What arrives over the fabric.
enum FabricEvent: Sendable {
  case master(Message)
  case worker(lane: UInt32, Message)
  /// The set of workers that can be reached, whenever it changes.
  case workers([WorkerLane])
  /// The master is gone: nothing will be heard of it again.
  case masterGone
}

/// The controller's ends of the fabric: one socket to the master, one to each worker.
///
/// Packets have borders and carry descriptors, and NIO's channels know neither, so one thread waits
/// for them with epoll(7) and owns every socket (``FabricThread``). Others leave what is to be sent
/// in an outbox and ring.
final class FabricPort: Sendable {
  /// What arrives, for one reader.
  let events: AsyncStream<FabricEvent>

  let sink: AsyncStream<FabricEvent>.Continuation
  let master: Descriptor
  let doorbell: Descriptor
  private let outbox = Mutex<[Letter]>([])

  init(master: consuming Descriptor) throws(Errno) {
    try master.setNonBlocking()
    self.master = master
    doorbell = try Descriptor.doorbell()
    (events, sink) = AsyncStream.makeStream()
  }

  func sendToMaster(_ message: Message) { post(.master, message) }

  func send(_ message: Message, toWorker lane: UInt32) { post(.worker(lane: lane), message) }

  func sendToEveryWorker(_ message: Message) { post(.everyWorker, message) }

  /// Ends the thread once what was posted before has been sent.
  func end() { post(Letter(addressee: .nobody, packet: [])) }

  /// Empties the outbox.
  func collect() -> [Letter] {
    outbox.withLock { letters in
      defer { letters = [] }
      return letters
    }
  }

  private func post(_ addressee: Letter.Addressee, _ message: Message) {
    // Only a list can be too long for a packet, and the controller sends none.
    guard let packet = try? message.encoded() else { return }
    post(Letter(addressee: addressee, packet: packet))
  }

  private func post(_ letter: Letter) {
    outbox.withLock { $0.append(letter) }
    doorbell.ring()
  }
}

/// A packet on its way out.
struct Letter: Sendable {
  enum Addressee: Equatable, Sendable {
    case master
    case worker(lane: UInt32)
    case everyWorker
    /// Asks the thread to end.
    case nobody
  }

  let addressee: Addressee
  let packet: [UInt8]
}
