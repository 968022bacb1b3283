package fleet

import "time"

// Settings say which binaries are measured, and how.
type Settings struct {
	Keyward, NatsServer, RedisServer, Opa string // paths of binaries
	Before                                string // binary of an earlier version, to compare full logins with; empty = none
	Attach                                string // measure only the server at this address
	Connections, Rounds                   int
	Duration                              time.Duration
	Decision, Events                      bool
	Population                            int
	Sse, Registrations, Sessions, Logins  bool
	Stages, Growth, Disturbed             bool
	Users                                 int    // that there are at most where growth is measured, or something goes on
	Profiles                              string // directory for profiles of what calls of each kind allocate; empty = none
	Streams, EventRate                    int
	Outage                                string // what becomes of an installation: hung, leaders, restarts or soak
	CallRate                              int    // of a soak, calls a second
}
