// The entry of the debug build: all that JavaScript engines get, asserts that trap with file and line, and
// the invariant checker.

export { check } from './check'
export * from './strings'
