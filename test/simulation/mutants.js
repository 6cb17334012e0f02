// @ts-check
// The guards that keep the promises, each with what the code would be without it. A guard that can be taken away
// with no run failing is either useless or untested; `npm run simulate -- --mutants` takes away each in turn and
// expects a failing run within 200 seeds. The change is made to the source as it is loaded, so that no switch for it
// is in the code.
//
// Not in the list are second lines of defence, which nothing misses as long as the first holds: that nothing comes back
// from before what the log reaches (it is older than the order that the process began with), that a gap overtakes
// loads (their stamps are too old all the same), that what the authority refused stays out of L1 (its message follows),
// that an overtaken reading is not copied into nearer tiers (its stamp is judged there), that writes of one key wait
// for each other (without an authority they must; test/unit/cache.test.ts), that a log with holes is not believed
// (test/unit/coordinator/inbound.test.ts), that places of another history are told apart by the server, by a receiver and
// by the log (each of the three is enough for those who hear; test/unit/backends/redis-scripts.test.ts). And one that takes a thousand seeds to be missed: that a doubt is not lifted
// by an earlier mutation (test/unit/coordinator/doubts.test.ts).

/**
 * @typedef {object} Mutant a guard taken away
 * @property {string} name what no longer happens
 * @property {string} file below src/
 * @property {string} from stands in the file exactly once
 * @property {string} to
 */

const copies = 'coordinator/copies.ts'
const filling = 'coordinator/filling.ts'
const hearing = 'coordinator/hearing.ts'
const inbound = 'coordinator/inbound.ts'
const invalidations = 'coordinator/invalidations.ts'
const leases = 'coordinator/leases.ts'
const marks = 'coordinator/marks.ts'
const scripts = 'backends/redis-scripts.ts'
const snapshots = 'coordinator/snapshots.ts'
const tierStack = 'coordinator/tier-stack.ts'

/** @type {readonly Mutant[]} */
export const mutants = [
  {
    name: 'copies need no lease',
    file: copies,
    from: 'this.#l1?.setLease(until)',
    to: 'this.#l1?.setLease(Infinity)',
  },
  {
    name: 'what was changed while a process was down comes back',
    file: snapshots,
    from: 'copies.invalidate(key, message.stamp)',
    to: 'void key',
  },
  {
    name: 'copies in tiers need no lease',
    file: invalidations,
    from: 'this.#goodUntil = until',
    to: 'this.#goodUntil = Infinity',
  },
  {
    name: 'an echo shows no hole',
    file: inbound,
    from: 'for (const stamp of stamps) this.#meet(stamp)\n    this.#lease.echo(token)',
    to: 'void stamps\n    this.#lease.echo(token)',
  },
  {
    name: 'a hole between messages is not noticed',
    file: inbound,
    from: 'stamp.epoch > heard.epoch || message.after !== heard.sequence',
    to: 'stamp.epoch > heard.epoch || message.after < heard.sequence',
  },
  {
    name: 'a new epoch is like the old one',
    file: copies,
    from: 'const isSameEpoch = floor?.stamp.epoch === stamp.epoch',
    to: 'const isSameEpoch = floor !== undefined',
  },
  {
    name: 'a gap makes nothing suspect in L1',
    file: copies,
    from: 'this.#l1?.setPartition(stamp.partition, epochIndex, stamp.sequence)',
    to: 'this.#l1?.setPartition(stamp.partition, epochIndex, 0)',
  },
  {
    name: 'a gap makes nothing suspect in tiers',
    file: copies,
    from: 'this.#invalidations.setFloor(stamp)',
    to: 'this.#invalidations.setFloor({ ...stamp, sequence: 0 })',
  },
  {
    name: 'catching up absolves whatever came since',
    file: copies,
    from: 'if (floor?.stamp === stamp) this.#setFloor',
    to: 'if (floor !== undefined) this.#setFloor',
  },
  {
    name: 'catching up drops no keys',
    file: inbound,
    from: 'for (const message of missed) this.#apply(message)',
    to: 'void missed',
  },
  {
    name: 'a message drops nothing from L1',
    file: copies,
    from: 'const l1Key = l1KeyOfStored(this.#scope, stored)\n    this.#l1?.drop(l1Key)',
    to: 'const l1Key = l1KeyOfStored(this.#scope, stored)',
  },
  {
    name: 'a message is not remembered for copies in tiers',
    file: copies,
    from: 'invalidate(stored: string, stamp: Stamp): Key {\n    this.#invalidations.note(stored, stamp)',
    to: 'invalidate(stored: string, stamp: Stamp): Key {\n    void stamp',
  },
  {
    name: 'a message overtakes no load',
    file: hearing,
    from: 'this.#ongoing.overtake(stored)\n      // What others did',
    to: '// What others did',
  },
  {
    name: 'another process’s clear is not heard',
    file: hearing,
    from: 'if (isNews) this.suspect(stamp)\n      else this.#copies.suspect(stamp)',
    to: 'if (!isNews) this.#copies.suspect(stamp)',
  },
  {
    name: 'L1 keeps the old value while a mutation is pending',
    file: copies,
    from: 'this.#l1?.hide(l1Key)',
    to: 'void l1Key',
  },
  {
    name: 'reads do not wait for a pending mutation',
    file: marks,
    from: 'mark.pending > 0 && mark.tail !== undefined',
    to: 'mark.pending > 1e9 && mark.tail !== undefined',
  },
  {
    name: 'reads do not wait for a pending clear',
    file: marks,
    from: 'if (keys.some((key) => key.startsWith(prefix))) tails.push(settled)',
    to: '',
  },
  {
    name: 'a mutation overtakes no load',
    file: marks,
    from: 'mark.pending++\n    mark.generation++',
    to: 'mark.pending++',
  },
  {
    name: 'a clear overtakes no load',
    file: marks,
    from: 'before.push(mark.tail)\n      mark.generation++',
    to: 'before.push(mark.tail)',
  },
  {
    name: 'an overtaken load is kept in L1',
    file: filling,
    from: "if (!this.#marks.holds(fence)) return overtaken()\n      if (outcome === 'failed')",
    to: "if (outcome === 'failed')",
  },
  {
    name: 'an overtaken reading is put into L1',
    file: filling,
    from: 'if (found.usableUntil > this.#clock.now() && this.#marks.holds(fence)) {',
    to: 'if (found.usableUntil > this.#clock.now()) {',
  },
  {
    name: 'the authority’s fence looks at nothing',
    file: scripts,
    from: 'if key == name or string.byte(message, 2) == 3 and',
    to: 'if string.byte(message, 2) == 3 and',
  },
  {
    name: 'copies in tiers are believed whatever their stamp',
    file: tierStack,
    from: 'if (!this.isGood(stored, depth, entry.stamp)) return undefined',
    to: '',
  },
  {
    name: 'a load from before a lease is joined',
    file: 'coordinator/single-flight.ts',
    from: 'return this.#clock.now() - flight.beganAt > mostMs ? undefined : flight',
    to: 'return flight',
  },
  {
    name: 'a load from before a mutation is joined',
    file: 'coordinator/mutations.ts',
    from: 'const serial = this.#commits.next()\n    this.#ongoing.forget(stored)',
    to: 'const serial = this.#commits.next()',
  },
  {
    name: 'the authority’s fence does not look at clears',
    file: scripts,
    from: 'if key == name or string.byte(message, 2) == 3 and string.sub(name, 1, #key) == key then return true end',
    to: 'if key == name then return true end',
  },
  {
    name: 'a server that lost state goes on where it stands',
    file: scripts,
    from: 'if state and fits(state, logKey, seenEpoch, seenSequence) then return state end',
    to: 'if state then return state end',
  },
  {
    name: 'two histories take the same steps',
    file: scripts,
    from: 'after + 1 + (origin + serial) % 65536',
    to: 'after + 1',
  },
  {
    name: 'entries of an older epoch are alive',
    file: 'backends/redis-layout.ts',
    from: 'if (view.getFloat64(1, true) !== state.epoch) return undefined',
    to: '',
  },
  {
    name: 'entries from before a clear are alive',
    file: 'backends/redis-layout.ts',
    from: 'generation < mark.generation && key.startsWith(mark.prefix)',
    to: 'generation < 0 && key.startsWith(mark.prefix)',
  },
  {
    name: 'a lease counts from the arrival of its echo',
    file: 'coordinator/lease.ts',
    from: 'this.#renew(sentAt)',
    to: 'this.#renew(this.#parts.clock.now())',
  },
  {
    name: 'a life counts from the arrival of the value',
    file: tierStack,
    from: 'freshUntil: askedAt + freshMs',
    to: 'freshUntil: this.#clock.now() + freshMs',
  },
  {
    name: 'what has become stale on the way is given out as fresh',
    file: 'coordinator/reads.ts',
    from: 'return view !== undefined && view.freshUntil > this.#clock.now()',
    to: 'return view !== undefined',
  },
  {
    name: 'what was read is not news',
    file: hearing,
    from: 'if (heard?.epoch === stamp.epoch && isAtOrAfter(heard, stamp)) return false',
    to: 'if (stamp.epoch > 0) return false',
  },
  {
    name: 'what was given out is forgotten',
    file: filling,
    from: 'if (this.#surpass(stored, asOf)) this.#copies.drop(l1Key)',
    to: '',
  },
  {
    name: 'what was heard counts, whatever the bus goes on from',
    file: inbound,
    from: 'if (heard === undefined || isAtOrAfter(stamp, heard)) {',
    to: 'if (stamp.partition >= 0) {',
  },
  {
    name: 'nobody joins a load',
    file: 'coordinator/searches.ts',
    from: 'const joined = passesCopies(call) ? undefined : this.#joinable(subject.stored, call.loadTimeoutMs)',
    to: 'const joined = undefined',
  },
  {
    name: 'what is over before the tiers have it is joined',
    file: 'coordinator/searches.ts',
    from: 'flight !== undefined && flight.note.freshUntil < this.#clock.now()',
    to: 'flight !== undefined && flight.note.freshUntil < 0',
  },
  {
    name: 'after a mutation that was not taken the tiers are believed',
    file: tierStack,
    from: 'const entry = isDoubted[place] ? undefined : entries[turn]',
    to: 'const entry = isDoubted.length < 0 ? undefined : entries[turn]',
  },
  {
    name: 'the clear of a namespace is one of everything',
    file: hearing,
    from: 'if (own.startsWith(prefix)) {',
    to: 'if (own.startsWith(prefix) || prefix.startsWith(own)) {',
  },
  {
    name: 'the clear of a namespace drops nothing elsewhere',
    file: hearing,
    from: 'this.#copies.dropUnder(prefix)',
    to: '',
  },
  {
    name: 'nobody waits for what another process loads',
    file: 'coordinator/load-turns.ts',
    from: 'if (this.#lease !== undefined || leftMs <= 0)',
    to: 'if (this.#lease !== undefined || leftMs < Infinity)',
  },
  {
    name: 'who waits for another process’s load is not told',
    file: hearing,
    from: 'this.#leases.tell(stored)',
    to: '',
  },
  {
    name: 'who holds a lock knows it from the answer on',
    file: leases,
    from: 'BigInt(stamp.sequence), until }',
    to: 'BigInt(stamp.sequence), until: clock.now() + ms }',
  },
  {
    name: 'anyone gives back a lock',
    file: scripts,
    from: 'if string.sub(value, 37) ~= ARGV[10] then return answer(false) end',
    to: '',
  },
  {
    name: 'fencing numbers begin anew with an epoch',
    file: leases,
    from: '(BigInt(stamp.epoch) << EPOCH_SHIFT) + BigInt(stamp.sequence)',
    to: 'BigInt(stamp.sequence)',
  },
  {
    name: 'a lock is held until somebody says that it is not',
    file: 'coordinator/locks.ts',
    from: 'return !this.#isOver && this.#parts.clock.now() < this.#lease.until',
    to: 'return !this.#isOver',
  },
]

/**
 * `code` of the file at `path` without the guard.
 *
 * @param {Mutant} mutant
 * @param {string} path
 * @param {string} code
 */
export function mutate(mutant, path, code) {
  if (!path.replaceAll('\\', '/').endsWith(`/src/${mutant.file}`)) return code
  const places = code.split(mutant.from).length - 1
  if (places !== 1) {
    throw new Error(
      `mutant "${mutant.name}": its text stands ${places} times in ${mutant.file}, and must once`,
    )
  }
  return code.replace(mutant.from, () => mutant.to)
}
