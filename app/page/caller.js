/** Who is logged in, and what they may do. The server decides; this only leaves out what it would refuse. */

export const caller = {
  /** The document of GET /me. */
  me: null,
  takes(me) {
    this.me = me;
  },
  may(capability) {
    return this.me.capabilities.includes(capability);
  },
  /** Whether they administer anything. */
  get administers() {
    return this.me.capabilities.length > 0;
  },
  /** Whether they may change this of their own: oof, devices, forward, delegates, sendas. */
  mayOwn(subject) {
    return this.me.selfService.includes(subject);
  },
};
