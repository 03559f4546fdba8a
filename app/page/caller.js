/** Who is logged in, and what they may do. The server decides; this only leaves out what it would refuse. */

export const caller = {
  name: "",
  id: -1,
  capabilities: new Set(),
  takes({ user, capabilities }) {
    this.name = user.username;
    this.id = user.ID;
    this.domain = user.domainID;
    this.capabilities = new Set(capabilities);
  },
  may(capability) {
    return this.capabilities.has(capability);
  },
};
