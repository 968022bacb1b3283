// Package fleet starts what is measured, puts load on it, and prints what came out: Keyward in every shape it runs in, the bare handlers
// it stands beside, and the NATS and Redis servers they need. It starts processes on free ports of the loopback and ends every one that
// it has started. What is measured, and what it is compared with, is said by who uses it.
package fleet
