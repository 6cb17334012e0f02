// @ts-check
/** One sentence for each contender that is faster than the tier beside it. A loss without one says so. */

/** @type {{ contender: string, operation: 'read' | 'write', reason: string }[]} */
const reasons = [
  {
    contender: 'its calls alone',
    operation: 'read',
    reason:
      'these are the calls of the system that a read of the file tier makes, and nothing else; on top come the name of the ' +
      'file (1 µs where it is not among the last 4,096), two checksums, the head, the entry and two promises. What they take ' +
      'more with many files is directory entries, inodes and pages that are in no cache of the processor',
  },
  {
    contender: 'its calls alone',
    operation: 'write',
    reason:
      'these are the calls of the system that a write over an entry makes, and nothing else: to take and release the lock of ' +
      'the directory, to look at its log and its counts, and to write; many files cost them as much more as they cost the tier',
  },
  {
    contender: 'lmdb',
    operation: 'read',
    reason:
      'a tier answers with the entry and its remaining time and has checked it: two checksums, a head to parse, a clock to ' +
      'read, and four objects more for the collector',
  },
  {
    contender: 'lmdb',
    operation: 'write',
    reason:
      'a head with two checksums, put together with the value, and a promise around the one of lmdb; with one caller most ' +
      'of it is a transaction for each write in either case',
  },
  {
    contender: 'ioredis',
    operation: 'read',
    reason:
      'value, remaining time and the state of the partition have to be of one moment, so a read is a script: with one caller it ' +
      'takes the client 13 µs where GET takes it 10, for the longer command and the answer of four parts, and the server 2 µs ' +
      'more. The tier adds 2.2 µs to that: it gathers what is read in one turn, parses state and entry, and notes the place',
  },
  {
    contender: 'ioredis',
    operation: 'write',
    reason:
      'a write is a script that has to know the epoch and the clears of its partition, and carries a head with a place in the order',
  },
  {
    contender: 'memjs',
    operation: 'read',
    reason:
      'in front of each entry the state of its keyspace is asked for, so that a clear holds at once: two requests in one ' +
      'piece, two answers; then a checksum over head, key and value, and the key itself is compared',
  },
  {
    contender: 'memjs',
    operation: 'write',
    reason:
      'in front of each write goes the request for the state as well, by which the write is made again where it has changed; ' +
      'and a head with a checksum over all of it',
  },
]

/**
 * @param {string} contender
 * @param {string} operation
 */
export function reasonFor(contender, operation) {
  const found = reasons.find((one) => one.contender === contender && one.operation === operation)
  return found?.reason ?? 'not explained yet'
}
