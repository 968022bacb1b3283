// Package events measures events: appends beside raw publishing, in the process and over HTTP, pages of lists, a stream of a million
// events, and clients that follow the stream. It opens the log in this process, and the contenders of a fleet.
package events
