import Linux
import Wire

/// One direction of a relay: source → (buffer or pipe) → sink.
///
/// A connection holds two and treats them alike; nothing here knows which end is the client.
///
/// Bytes are copied through one buffer of the worker as long as they come in small portions: for
/// those two calls are cheaper than three. A read that fills the buffer turns the direction to
/// splice(2), which moves pages instead of bytes; a small splice turns it back (the two cost the
/// same between 16 and 32 KiB). Nothing is held while nothing is under way.
struct Channel: ~Copyable {
  /// A splice of less than this turns back to copying.
  static let smallSplice = BufferPool.smallSize / 2
  /// Most bytes that one splice is asked for; as a rule the pipe's slots are the bound.
  private static let spliceRequest = PipePool.grownSize

  /// Bytes taken from the source, over the life of the channel.
  private(set) var received: UInt64 = 0
  /// Those of them that went through a pipe.
  private(set) var spliced: UInt64 = 0

  /// Holds bytes between a splice in and the splices out.
  private var pipe: Pipe?
  private var inPipe = 0

  /// Bytes that the sink would not take yet, or that were there before the relay began.
  private var held = Buffer.none
  private var heldStart = 0
  private var heldEnd = 0

  private(set) var isBulk = false
  /// Whether the last splice filled a good part of the pipe.
  private var fillsPipe = false
  /// Cleared when the kernel says that these ends cannot be spliced (some unix sockets).
  private var isSpliceable = true

  /// How far the end of the source's stream has travelled.
  fileprivate enum End: UInt8 { case notSeen, seen, passedOn }
  private var end = End.notSeen

  /// What the channel needs next.
  enum Need: Equatable, BitwiseCopyable {
    case readableSource
    case writableSink
    /// Its turn is over though more could move; call again on the next lap.
    case anotherTurn
    /// The source ended, all it sent is delivered, and the sink was told so.
    case nothing
    case sourceFailed(Errno)
    case sinkFailed(Errno)
  }

  init() {}

  /// Bytes taken from the source that the sink has not accepted.
  var inFlight: Int { inPipe + heldEnd - heldStart }

  /// Whether the source's end was read.
  var hasEnded: Bool { end != .notSeen }

  /// Whether the sink was told that nothing more comes.
  var isFinished: Bool { end == .passedOn }

  /// Puts bytes in front of what the source will send. Only before the first pump.
  mutating func hold(_ buffer: Buffer, _ range: Range<Int>, countingFrom start: Int) {
    precondition(held.isNone && inPipe == 0)
    held = buffer
    heldStart = range.lowerBound
    heldEnd = range.upperBound
    received = UInt64(range.upperBound - start)
  }

  /// Notes that the source's end was read before the relay began.
  mutating func endSource() { end = .seen }

  /// Bytes that the sink has taken, over the life of the channel.
  var delivered: UInt64 { received &- UInt64(inFlight) }

  /// Gives everything back, delivered or not.
  mutating func release(into engine: inout RelayEngine) {
    if !held.isNone { engine.buffers.release(held) }
    held = .none
    heldStart = 0
    heldEnd = 0
    releasePipe(into: &engine)
    inPipe = 0
  }

  // MARK: Moving bytes

  /// Moves bytes until something must be waited for, or until the budget of a turn is used up, so
  /// that one fast pair cannot starve the others. What was taken in is offered to the sink before the
  /// turn ends: it must not wait for the next one.
  ///
  /// With `closing` the sink will be closed at once when the source's end is passed on, so that
  /// telling it separately would be a call for nothing.
  mutating func pump(
    from source: borrowing Descriptor, _ sourceSide: inout Side,
    to sink: borrowing Descriptor, _ sinkSide: inout Side,
    with engine: inout RelayEngine, closing: Bool
  ) -> Need {
    var credit = RelayEngine.turnBudget
    while true {
      if inFlight > 0 {
        guard sinkSide.canWrite else { return .writableSink }
        if let need = drain(to: sink, &sinkSide, with: &engine) { return need }
        continue
      }
      if end != .notSeen { return passOnEnd(to: sink, closing: closing) }
      guard sourceSide.canRead else {
        releasePipe(into: &engine)
        return .readableSource
      }
      guard credit > 0 else { return .anotherTurn }
      let (before, wasBulk) = (received, isBulk)
      let need =
        isBulk && isSpliceable && engine.splicesBulk
        ? splice(from: source, &sourceSide, with: &engine)
        : copy(from: source, &sourceSide, to: sink, &sinkSide, with: &engine)
      let moved = Int(received - before)
      credit -= moved
      engine.moved &+= moved
      if let need { return need }
      // Bulk begins: it takes turns with other bulk, behind all who have only a word to say.
      if isBulk, !wasBulk { credit = 0 }
    }
  }

  /// Receives one portion and sends it on. What the sink does not take stays in the buffer, which
  /// then is the channel's, and the worker takes another.
  private mutating func copy(
    from source: borrowing Descriptor, _ sourceSide: inout Side,
    to sink: borrowing Descriptor, _ sinkSide: inout Side, with engine: inout RelayEngine
  ) -> Need? {
    guard engine.hasScratch() else { return .anotherTurn }
    let size = BufferPool.smallSize
    let transfer: Transfer
    do throws(Errno) {
      var room = engine.buffers.mutableSpan(engine.scratch, 0..<size)
      transfer = try source.receive(into: &room)
    } catch {
      return .sourceFailed(error)
    }
    switch transfer {
    case .blocked:
      sourceSide.canRead = false
      return nil
    case .ended:
      end = .seen
      return nil
    case .moved(let count):
      received &+= UInt64(count)
      isBulk = count == size
      // A short read has emptied the socket, and what comes later makes a new edge. After the end
      // was reported there is no later edge: the end itself must be read.
      if count < size, sourceSide.shortReadEmpties { sourceSide.canRead = false }
      return sendScratch(count, to: sink, &sinkSide, with: &engine)
    }
  }

  private mutating func sendScratch(
    _ count: Int, to sink: borrowing Descriptor, _ sinkSide: inout Side,
    with engine: inout RelayEngine
  ) -> Need? {
    var sent = 0
    if sinkSide.canWrite {
      do throws(Errno) {
        if case .moved(let moved) = try sink.send(engine.buffers.span(engine.scratch, 0..<count)) {
          sent = moved
        }
      } catch {
        return .sinkFailed(error)
      }
      if sent == count { return nil }
      sinkSide.canWrite = false
    }
    held = engine.giveUpScratch()
    heldStart = sent
    heldEnd = count
    return .writableSink
  }

  /// Fills the empty pipe. Only an empty one: splice(2) answers `EAGAIN` to an empty source and to
  /// a full pipe alike, and this way it can only mean the first.
  private mutating func splice(
    from source: borrowing Descriptor, _ sourceSide: inout Side, with engine: inout RelayEngine
  ) -> Need? {
    // The sink took all of a good fill, and the source has more: both are fast.
    if hasPipe { if fillsPipe { growPipe(with: &engine) } } else { pipe = engine.pipes.take() }
    switch pipe {
    case .none:
      isBulk = false
      return nil
    case .some(let pipe):
      do throws(Errno) {
        switch try source.splice(into: pipe.inlet, upTo: Self.spliceRequest) {
        case .moved(let count):
          received &+= UInt64(count)
          spliced &+= UInt64(count)
          inPipe = count
          // By slots, which hold a page each at most, it may be full with much less than its size.
          fillsPipe = count >= pipe.nominalSize / 4
          if count < Self.smallSplice { isBulk = false }
        case .blocked:
          sourceSide.canRead = false
        case .ended:
          end = .seen
        }
        return nil
      } catch {
        // A socket that cannot be spliced (some unix sockets) is copied from.
        guard error == .invalidArgument else { return .sourceFailed(error) }
        isSpliceable = false
        return nil
      }
    }
  }

  private mutating func growPipe(with engine: inout RelayEngine) {
    guard var grown = pipe.take() else { return }
    engine.pipes.grow(&grown)
    pipe = .some(grown)
  }

  private var hasPipe: Bool {
    switch pipe {
    case .some: true
    case .none: false
    }
  }

  /// Gives the sink what it takes of what is under way: what is held comes before what is piped.
  private mutating func drain(
    to sink: borrowing Descriptor, _ sinkSide: inout Side, with engine: inout RelayEngine
  ) -> Need? {
    do throws(Errno) {
      if heldEnd > heldStart {
        switch try sink.send(engine.buffers.span(held, heldStart..<heldEnd)) {
        case .moved(let count):
          heldStart += count
          if heldStart == heldEnd {
            engine.buffers.release(held)
            held = .none
            return nil
          }
          sinkSide.canWrite = false
        case .blocked, .ended:
          sinkSide.canWrite = false
        }
        return .writableSink
      }
      return try drainPipe(to: sink, &sinkSide)
    } catch {
      return .sinkFailed(error)
    }
  }

  private mutating func drainPipe(
    to sink: borrowing Descriptor, _ sinkSide: inout Side
  ) throws(Errno) -> Need? {
    switch pipe {
    case .none:
      preconditionFailure("bytes in a pipe that is not there")
    case .some(let pipe):
      switch try pipe.outlet.splice(into: sink, upTo: inPipe) {
      case .moved(let count):
        inPipe -= count
        return nil
      case .blocked, .ended:
        sinkSide.canWrite = false
        return .writableSink
      }
    }
  }

  private mutating func passOnEnd(to sink: borrowing Descriptor, closing: Bool) -> Need {
    if end == .seen {
      end = .passedOn
      guard !closing else { return .nothing }
      do throws(Errno) {
        try sink.shutdownWrite()
      } catch {
        // The sink ended by itself meanwhile; its own events say so.
        if error != .notConnected { return .sinkFailed(error) }
      }
    }
    return .nothing
  }

  // MARK: From worker to worker

  /// Everything but descriptors, for another worker to go on with. The channel is as it was.
  func record(counted: UInt64, _ engine: borrowing RelayEngine) -> ConnectionRecord.Direction {
    var record = ConnectionRecord.Direction()
    record.received = received
    record.spliced = spliced
    record.counted = counted
    record.inPipe = UInt64(inPipe)
    if heldEnd > heldStart { record.held = engine.buffers.bytes(held, heldStart..<heldEnd) }
    record.end = ConnectionRecord.End(end)
    record.isBulk = isBulk
    record.mustCopy = !isSpliceable
    return record
  }

  /// Appends the two ends of the pipe if it holds bytes: an empty one stays where it is.
  func appendRights(to rights: inout [CInt]) {
    guard inPipe > 0 else { return }
    switch pipe {
    case .none: break
    case .some(let pipe):
      rights.append(pipe.outlet.numberForSuccessor)
      rights.append(pipe.inlet.numberForSuccessor)
    }
  }

  /// Goes on where another worker's channel was. The pipe is the one that holds its bytes.
  ///
  /// - Returns: nil when there is no buffer for what it holds.
  init?(
    _ record: ConnectionRecord.Direction, pipe: consuming Pipe?, with engine: inout RelayEngine
  ) {
    if !record.held.isEmpty {
      held = engine.buffers.take(for: record.held.count)
      guard !held.isNone else { return nil }
      engine.buffers.write(record.held, to: held, at: 0)
      heldEnd = record.held.count
    }
    received = record.received
    spliced = record.spliced
    inPipe = Int(record.inPipe)
    switch consume pipe {
    case .none: break
    case .some(let pipe):
      engine.pipes.lend(pipe)
      self.pipe = .some(pipe)
    }
    end = End(record.end)
    isBulk = record.isBulk
    isSpliceable = !record.mustCopy
  }

  private mutating func releasePipe(into engine: inout RelayEngine) {
    if let pipe = pipe.take() { engine.pipes.give(back: pipe, isEmpty: inPipe == 0) }
  }
}

extension Channel.End {
  fileprivate init(_ end: ConnectionRecord.End) {
    switch end {
    case .notSeen: self = .notSeen
    case .seen: self = .seen
    case .passedOn: self = .passedOn
    }
  }
}

extension ConnectionRecord.End {
  fileprivate init(_ end: Channel.End) {
    switch end {
    case .notSeen: self = .notSeen
    case .seen: self = .seen
    case .passedOn: self = .passedOn
    }
  }
}

/// What all channels of a worker share.
struct RelayEngine: ~Copyable {
  /// Bytes that one direction takes in during a turn before it must let others have theirs: one fill
  /// of a grown pipe, two at most of another.
  static let turnBudget = 512 * 1024
  /// Bytes after which no more turns are given on a lap, so that whoever has only a word to say
  /// never waits for more than this, which takes about 200 µs.
  static let lapBudget = 512 * 1024

  /// Bytes that were taken in on this lap.
  var moved = 0

  var buffers: BufferPool
  var pipes: PipePool
  /// The buffer that small portions are copied through.
  private(set) var scratch = Buffer.none
  /// Whether big portions are to go through pipes.
  let splicesBulk: Bool

  init(buffers: consuming BufferPool, pipes: consuming PipePool, splicesBulk: Bool) {
    self.buffers = buffers
    self.pipes = pipes
    self.splicesBulk = splicesBulk
  }

  /// Whether there is a buffer to copy through.
  mutating func hasScratch() -> Bool {
    if scratch.isNone { scratch = buffers.take() }
    return !scratch.isNone
  }

  /// Hands the scratch buffer over to who has bytes in it.
  mutating func giveUpScratch() -> Buffer {
    let given = scratch
    scratch = .none
    return given
  }
}
