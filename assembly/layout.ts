// The map of linear memory: which region starts where. One instance serves one cache.
//
//   address   region
//        64   header: sizes, the current key, seeds, counters, arena lists, wheel cursors (below)
//      1024   static data of the debug build, nothing in a release
//         …   partitions      16 bytes each; what an authority cache knows of every partition
//         …   removals        48 bytes each; what left since the host last drained
//         …   scratch         the key of the call in progress
//         …   index           64-byte buckets, 12 entries in each
//         …   records         64 bytes per entry
//         …   recency links    8 bytes per entry, behind the list heads
//         …   wheel links      8 bytes per entry, behind the bucket heads
//         …   authority       24 bytes per entry, only where the cache has one
//         …   policy          what the policy needs beside links and header, and nothing for `lru`:
//                               marks     1 byte per entry
//                               sketch    8 to 16 bytes per entry, and a 64th of that for its ages
//                               ghosts    4-byte cells of evicted keys, one table or two
//         …   arena           keys too long for their record; the one region that grows, to the end
//
// A cache with a budget in bytes (WEIGHED) has further regions before the last one, and where it keeps the values
// too (BYTES) the last one is the heap, which ends at the budget and holds long keys as well:
//
//         …   values           8 bytes per entry: where its value is, and how large
//         …   block lists      the heads of the heap's free lists
//         …   heap             blocks of keys and values
//
// Everything the cache knows lies in this memory. The variables of this file are only addresses worked
// out again from the header, so that the memory could be mapped, copied or shared as it is. All regions
// for `maxEntries` are reserved at creation and never move, so the host's views of them stay valid until
// the arena grows. Reserved is not resident: slots are handed out in ascending order, and the operating
// system provides a page when it is first touched.

export const HEADER_AT: u32 = 64

export const MAX_ENTRIES_AT: u32 = 64
export const POLICY_AT: u32 = 68
export const FLAGS_AT: u32 = 72
export const PARTITIONS_AT: u32 = 76
/** Live entries, hidden ones among them; u32. */
export const SIZE_AT: u32 = 80
/** Records in the removal list; u32. */
export const REMOVAL_COUNT_AT: u32 = 84
/** Slots handed out at least once; the slots from here on have never been touched. */
export const USED_SLOTS_AT: u32 = 88
/** The first free slot among the used ones, plus one; 0 means none. */
export const FREE_SLOT_AT: u32 = 92
/** Hash, length and encoding of the current key, as they would stand in its record; u64. */
export const CURRENT_KEY_AT: u32 = 96
/** Five u64: seed and four secrets of the hash. The host writes random bytes here before `create`. */
export const SEED_AT: u32 = 104
/** Three u64: the seed already mixed, one for each key encoding. */
export const MIXED_SEEDS_AT: u32 = 144
/** Until when copies may be trusted; f64. */
export const LEASE_AT: u32 = 168
/** The stamp that the next write carries: 24 bytes in the form of an authority block. */
export const NEXT_STAMP_AT: u32 = 176
export const STAMP_PENDING_AT: u32 = 200
export const SCHEDULED_COUNT_AT: u32 = 204
/** Eight u64 counters, in the order of stats.ts. */
export const STATS_AT: u32 = 208
/** The tick up to which the wheel has been worked off; i64. */
export const WHEEL_TICK_AT: u32 = 272
/** Ten i64: per level, the last position worked off. */
export const WHEEL_CURSORS_AT: u32 = 280
/** Ten u64: per level, one bit for every bucket that holds an entry. */
export const WHEEL_BITMAPS_AT: u32 = 360
/** Where the arena's untouched part begins; u32. */
export const ARENA_TOP_AT: u32 = 440
/** One u32 per size class: the first free block, 0 means none. */
export const ARENA_LISTS_AT: u32 = 448
export const ARENA_CLASSES: u32 = 88
/** The policy's own numbers; which means what is said in the policy's file. */
export const POLICY_STATE_AT: u32 = 800
export const POLICY_STATE_BYTES: u32 = 96
/** Candidates that the policy did not let in; u64. */
export const REFUSED_ADMISSIONS_AT: u32 = 896
/** Entries that came in again with a value of another size, because their place had no room for it; u64. */
export const MOVES_AT: u32 = 904
/** Over all entries, the full buckets between their home and where they live; u32. */
export const PASSED_BUCKETS_AT: u32 = 912
/** The budget; 0 where entries are only counted. */
export const MAX_BYTES_AT: u32 = 916
/** The value of the next write: bytes, kind, and where the core finds it, 0 if the host writes it itself; three u32. */
export const NEXT_VALUE_AT: u32 = 920
/** What the entry that is about to come in weighs; u32. */
export const INCOMING_AT: u32 = 932
/** What all entries weigh, where the host holds the values; u32. */
export const WEIGHT_AT: u32 = 936
/** Bytes in free blocks of the heap; u32. */
export const FREE_BYTES_AT: u32 = 940
/** The key that the policy has been told of and that had to wait for the host to drain; u64. */
export const WAITING_KEY_AT: u32 = 944
/** Four u64: one bit for every list of free blocks that is not empty. */
export const BLOCK_BITMAPS_AT: u32 = 952
export const HEADER_END: u32 = 1024

/** Which entry makes room; the numbers that `create` takes. */
export const LRU: u32 = 0
export const LAZY_TINYLFU: u32 = 1
export const SIEVE: u32 = 2
export const S3FIFO: u32 = 3
export const GDSF: u32 = 4

/** Every evicted or expired entry is recorded with its key, as somebody listens to removals. */
export const REPORT_KEYS: u32 = 1
/** Entries carry a stamp, and the partition table says which stamps are still good. */
export const AUTHORITY: u32 = 2
/** The limit is `maxBytes`, and every entry has a weight. */
export const WEIGHED: u32 = 4
/** Values lie in this memory, and the budget is that of the whole memory; with WEIGHED. */
export const BYTES: u32 = 8

export const MAX_ENTRIES: u32 = (1 << 26) - 1
export const MAX_KEY_LENGTH: u32 = 65_535

export const PARTITION_BYTES: u32 = 16
export const REMOVAL_BYTES: u32 = 48
/** Records that expiry may fill; the spare ones are for evictions, which cannot wait for a drain. */
export const REMOVAL_LIMIT: u32 = 1_024
export const REMOVAL_SPARE: u32 = 64
export const SCRATCH_BYTES: u32 = 131_072 + 64
export const BUCKET_BYTES: u32 = 64
export const RECORD_BYTES: u32 = 64
export const LINK_BYTES: u32 = 8
export const RECENCY_HEADS: u32 = 8
export const WHEEL_LEVELS: u32 = 10
/** One for each bucket, and one for the entries of buckets that came due. */
export const WHEEL_HEADS: u32 = 641
export const AUTHORITY_BYTES: u32 = 24
/** Four rows of 32 counters. */
export const SKETCH_BLOCK_BYTES: u32 = 64
export const GHOST_CELL_BYTES: u32 = 4
export const VALUE_BYTES: u32 = 8
/** One u32 for each list of free blocks. */
export const BLOCK_LISTS: u32 = 216

/**
 * Entries per bucket on average, of twelve places, in a full cache. Under churn an entry keeps the place it
 * found, so what counts is the steady state: at seven a hit reads 1.04 buckets and one miss in six a second
 * one; at nine, 1.21 and six misses in ten, for two bytes less per entry.
 */
const FILL: u64 = 7
const MEMORY_LIMIT: u64 = 1 << 32
const LEAST_HEAP_BYTES: u64 = 4_096

export let maxEntries: u32 = 0
export let flags: u32 = 0
export let partitionCount: u32 = 0
export let bucketCount: u32 = 0
export let partitionsAt: usize = 0
export let removalsAt: usize = 0
export let scratchAt: usize = 0
export let indexAt: usize = 0
export let indexEnd: usize = 0
export let recordsAt: usize = 0
/** The links of slot 0; list heads lie in front of it. */
export let recencyAt: usize = 0
/** The links of slot 0; bucket heads lie in front of it. */
export let wheelAt: usize = 0
export let authorityAt: usize = 0
export let policyNumber: u32 = 0
/** The policy's regions, one behind the other up to `policyEnd`. */
export let marksAt: usize = 0
export let sketchAt: usize = 0
/** One byte for each block of the sketch. */
export let sketchAgesAt: usize = 0
/** A power of two, as is `ghostCells`. */
export let sketchBlocks: u32 = 0
export let ghostsAt: usize = 0
/** Cells in one table. */
export let ghostCells: u32 = 0
/** How many later evictions a ghost outlives. */
export let ghostReach: u32 = 0
export let policyEnd: usize = 0
export let valuesAt: usize = 0
export let blockListsAt: usize = 0
export let heapAt: usize = 0
export let heapEnd: usize = 0
/** What the policy shares out: entries, or what they may weigh together. */
export let capacity: u32 = 0
export let arenaAt: usize = 0

function aligned(address: u64): u64 {
  return (address + 63) & ~63
}

/**
 * Makes room for a cache of `entries` and writes the header's sizes. Answers false, with nothing
 * written, when the memory cannot be had.
 */
export function reserve(entries: u32, policy: u32, wantedFlags: u32, partitions: u32, maxBytes: u32): bool {
  const end = place(entries, policy, wantedFlags, partitions, maxBytes)
  if (!growTo(end)) return false
  store<u32>(MAX_ENTRIES_AT, entries)
  store<u32>(POLICY_AT, policy)
  store<u32>(FLAGS_AT, wantedFlags)
  store<u32>(PARTITIONS_AT, partitions)
  store<u32>(MAX_BYTES_AT, maxBytes)
  store<u32>(INCOMING_AT, 1)
  return true
}

/** Works out where every region starts; answers where the arena starts, which may be out of reach. */
function place(entries: u32, policy: u32, wantedFlags: u32, partitions: u32, maxBytes: u32): u64 {
  const count = u64(entries)
  const buckets = (count + FILL - 1) / FILL
  let at = aligned(u64(max(u32(__heap_base), HEADER_END)))
  maxEntries = entries
  policyNumber = policy
  flags = wantedFlags
  partitionCount = partitions
  bucketCount = u32(buckets)
  partitionsAt = usize(at)
  at = aligned(at + u64(partitions) * PARTITION_BYTES)
  removalsAt = usize(at)
  at = aligned(at + u64(REMOVAL_LIMIT + REMOVAL_SPARE) * REMOVAL_BYTES)
  scratchAt = usize(at)
  at = aligned(at + SCRATCH_BYTES)
  indexAt = usize(at)
  at += buckets * BUCKET_BYTES
  indexEnd = usize(at)
  recordsAt = usize(at)
  at += count * RECORD_BYTES
  at += RECENCY_HEADS * LINK_BYTES
  recencyAt = usize(at)
  at = aligned(at + count * LINK_BYTES)
  at = aligned(at + WHEEL_HEADS * LINK_BYTES)
  wheelAt = usize(at)
  at = aligned(at + count * LINK_BYTES)
  authorityAt = usize(at)
  if (wantedFlags & AUTHORITY) at = aligned(at + count * AUTHORITY_BYTES)
  at = placePolicy(at, policy, entries)
  capacity = entries
  if (wantedFlags & WEIGHED) {
    capacity = maxBytes
    valuesAt = usize(at)
    at = aligned(at + count * VALUE_BYTES)
    if (wantedFlags & BYTES) at = placeHeap(at, maxBytes)
  }
  arenaAt = usize(at)
  return at
}

/** The heap takes what is left of the budget in whole pages; a budget that leaves it nothing is out of reach. */
function placeHeap(start: u64, maxBytes: u32): u64 {
  blockListsAt = usize(start)
  const first = aligned(start + BLOCK_LISTS * 4)
  const end = u64(maxBytes) & ~0xffff
  if (first + LEAST_HEAP_BYTES > end) return MEMORY_LIMIT + 1
  heapAt = usize(first)
  heapEnd = usize(end)
  // A block that is never free marks the end.
  capacity = u32(end - first) - 16
  return end
}

/** Works out the policy's regions; answers where the next region starts. */
function placePolicy(start: u64, policy: u32, entries: u32): u64 {
  const count = u64(entries)
  let at = start
  marksAt = usize(at)
  if (policy != LRU) at = aligned(at + count)
  // Two words of eight counters for each entry, rounded up; one word costs 0.2 points of hit ratio.
  sketchBlocks = policy == LAZY_TINYLFU ? powerOfTwoFrom((entries + 7) >> 3) : 0
  sketchAt = usize(at)
  at += u64(sketchBlocks) * SKETCH_BLOCK_BYTES
  sketchAgesAt = usize(at)
  at = aligned(at + sketchBlocks)
  ghostReach = 0
  let tables: u32 = 0
  if (policy == LAZY_TINYLFU) {
    ghostReach = max(16, entries >> 3)
    tables = 2
  } else if (policy == S3FIFO) {
    // As many ghosts as its main queue has entries.
    ghostReach = max(1, u32((count * 9) / 10))
    tables = 1
  }
  // At half full, and overwritten where two meet, four ghosts in five are still there at the end of reach.
  ghostCells = tables == 0 ? 0 : powerOfTwoFrom(ghostReach << 1)
  ghostsAt = usize(at)
  at = aligned(at + u64(tables * ghostCells) * GHOST_CELL_BYTES)
  policyEnd = usize(at)
  return at
}

/** The least power of two that is not below `least`, which is at least 1. */
function powerOfTwoFrom(least: u32): u32 {
  return least <= 1 ? 1 : u32(1) << (32 - u32(clz(least - 1)))
}

/** Bytes of linear memory there are now. A u64, as 4 GiB does not fit an address. */
export function memoryBytes(): u64 {
  return u64(u32(memory.size())) << 16
}

/** Sees to it that memory reaches up to `end`; false when the engine or the address space refuses. */
export function growTo(end: u64): bool {
  if (end > MEMORY_LIMIT) return false
  const present = memoryBytes()
  if (end <= present) return true
  return memory.grow(i32((end - present + 65_535) >> 16)) >= 0
}

/** The map above as numbers: 0 the header, then each region in its order, and last the end of them all. */
export function regionAt(number: u32): usize {
  switch (number) {
    case 0:
      return HEADER_AT
    case 1:
      return partitionsAt
    case 2:
      return indexAt
    case 3:
      return recordsAt
    case 4:
      return recencyAt - RECENCY_HEADS * LINK_BYTES
    case 5:
      return wheelAt - WHEEL_HEADS * LINK_BYTES
    case 6:
      return authorityAt
    case 7:
      return marksAt
    case 8:
      return flags & WEIGHED ? valuesAt : arenaAt
    case 9:
      return flags & BYTES ? heapAt : arenaAt
    default:
      return flags & BYTES ? heapEnd : load<u32>(ARENA_TOP_AT)
  }
}
