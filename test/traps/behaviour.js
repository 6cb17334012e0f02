// @ts-check
// Rules of behaviour that tierwheel has taken over, each from a cache that had to learn it: 3.1 and 3.2 from those with
// stale values, tags, a bus and a queue, 3.3 from those that fence loads and those that keep pages. 3.4 are the eighteen
// traps, whose rules are in rules.js. The tests of each have its number in their name: `npm test -- -t 'rule 3.1.6:'`.
//
// Not taken over: to store a stale value anew when it stands in for a failure (failures are remembered by themselves, and
// the value goes on aging), to let a load go on after its hard limit (its signal has fired), to fetch what others have set
// (trap 17), times of a clock in messages and tags (trap 10), and to refuse `undefined` from a loader.

/** Number and rule. @type {readonly (readonly [number: string, rule: string])[]} */
export const behaviour = [
  ['3.1.1', 'an entry carries what it needs and nothing else'],
  ['3.1.2', 'bytes of a form that is not known are a miss, so versions of a program can share a backend'],
  ['3.1.3', 'a stale window counts that was given when the value was written'],
  ['3.1.4', 'a loader can fail without a throw'],
  ['3.1.5', 'who only reads gets no stale value'],
  ['3.1.6', 'of two stale values the newer one stands in'],
  ['3.1.7', 'without a stale value the fallback stands in, and without one the error reaches the caller'],
  ['3.1.8', 'after a failure the source is left alone for a while'],
  ['3.1.9', 'what stands in meanwhile is not made newer by that'],
  ['3.1.10', 'to expire leaves the stale windows, to delete does not'],
  ['3.1.11', 'what was deleted is judged of stale entries too'],
  ['3.1.12', 'the soft limit needs a stale value'],
  ['3.1.13', 'after the soft limit the load goes on and is stored'],
  ['3.1.14', 'the hard limit holds always, for each who waits'],
  ['3.1.15', 'tiers have a limit of their own'],
  [
    '3.1.16',
    'a renewal before the end is a share of the ttl, is asked for by a request, and keeps nobody waiting',
  ],
  ['3.1.17', 'a renewal asks the tiers before the source'],
  ['3.1.18', 'a tag invalidated while a refresh runs invalidates what that brings'],
  ['3.1.19', 'jitter only shortens, and only when a value is written'],
  ['3.1.20', 'who waited for the right to load looks again first'],
  ['3.1.21', 'one load for all is for efficiency: without its lease everybody loads'],
  ['3.1.22', 'own messages, and messages heard before, do nothing'],
  ['3.1.23', 'of what waits for the authority the last of each key counts'],
  ['3.1.24', 'what waits gives way to what is newer'],
  ['3.1.25', 'what waits is bounded, and nothing is forgotten for that'],
  ['3.1.26', 'what waits lives no longer for it'],
  ['3.1.27', 'an entry that is as old as the invalidation of its tag loses'],
  ['3.1.28', 'tags can be expired or deleted, and a deletion stays one'],
  ['3.1.29', 'entries without tags pay nothing for them'],
  ['3.1.30', 'what the loader says of its value goes over what the call says'],
  ['3.1.31', 'a source that says "not modified" renews the value from before'],
  ['3.1.32', 'a call can pass by copies or tiers'],
  ['3.2.1', 'options of a call go over those of its namespace, and those over the cache’s'],
  ['3.2.2', 'stale windows begin where the ttl ends, and do not replace it'],
  ['3.2.3', 'a loader that runs behind a stale answer knows the stale value'],
  ['3.2.4', 'undefined is handed on and not stored'],
  ['3.2.5', 'a mutation that was not taken rejects'],
  ['3.2.6', 'a clear goes alone'],
  ['3.2.7', 'a part that failed is tried with one call before it is trusted'],
  ['3.2.8', 'a file is replaced whole'],
  ['3.2.9', 'what is known of tags is asked for once, not tag by tag'],
  ['3.3.1', 'a mutation makes nobody who comes later wait for an older load'],
  ['3.3.2', 'who waited gets what was loaded, though nobody keeps it'],
  ['3.3.3', 'a removal waits for the write of its key that is under way'],
  ['3.3.4', 'nothing that began earlier is written over what was loaded later'],
  ['3.3.5', 'a handler may be kept from seeing what is not in the key'],
  ['3.3.6', 'a page that sets a cookie is not stored'],
  ['3.3.7', 'Cache-Control is parsed'],
  ['3.3.8', 'only certain statuses are stored'],
  ['3.3.9', 'a HEAD is not stored in the place of a page'],
  ['3.3.10', 'what a page varies with is in its key'],
  ['3.3.11', 'a body stays bytes'],
]
