package main_test

import (
	"fmt"
	"testing"

	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/core/bus"
)

// erasures would take events out of a log, bend it, or stop who delivers them.
func erasures(stream string) []attack {
	smaller := fmt.Sprintf(`{"name":%q,"subjects":["passkey.events.>"],"storage":"file","max_msgs":1}`, stream)
	told := fmt.Sprintf(
		`{"name":%q,"subjects":["passkey.events.>"],"storage":"file","republish":{"src":">","dest":"keyward.events.>"}}`,
		stream,
	)
	return []attack{
		{"a smaller log", "$JS.API.STREAM.UPDATE." + stream, smaller},
		{"a log that is told on", "$JS.API.STREAM.UPDATE." + stream, told},
		{"the end of the log", "$JS.API.STREAM.DELETE." + stream, ""},
		{"a message less", "$JS.API.STREAM.MSG.DELETE." + stream, `{"seq":1}`},
		{"a snapshot", "$JS.API.STREAM.SNAPSHOT." + stream, `{"deliver_subject":"_INBOX.snapshot"}`},
		{"another log in its place", "$JS.API.STREAM.RESTORE." + stream, `{"config":{"name":"` + stream + `"}}`},
		{"another leader", "$JS.API.STREAM.LEADER.STEPDOWN." + stream, ""},
		{"a server less", "$JS.API.STREAM.PEER.REMOVE." + stream, `{"peer":"n1"}`},
		{"the pause of a consumer", "$JS.API.CONSUMER.PAUSE." + stream + ".webhook", `{"pause_until":"2099-01-01T00:00:00Z"}`},
		{"a durable consumer by the old way", "$JS.API.CONSUMER.DURABLE.CREATE." + stream + ".webhook", "{}"},
	}
}

// stops would end or bend what others follow the log with. Who keeps it may erase events, and does no more of this than anybody.
func stops(stream string) []attack {
	return []attack{
		{"the end of a consumer", "$JS.API.CONSUMER.DELETE." + stream + ".webhook", ""},
		{"a consumer that begins anew", "$JS.API.CONSUMER.RESET." + stream + ".webhook", ""},
		{"an acknowledgement for somebody else", "$JS.ACK." + stream + ".webhook.1.1.1.1.1", "+ACK"},
	}
}

func TestNoServiceCanEraseOrBendTheLogOfEventsAndOnlyItsKeeperPurgesIt(t *testing.T) {
	d := startDeployed(t)
	for _, name := range settings.ServiceNames() {
		conn, refused := d.connect(t, name)
		all := erasures(bus.EventsStream)
		all = append(all, stops(bus.EventsStream)...)
		if name != settings.Events {
			all = append(all,
				attack{"a purge", "$JS.API.STREAM.PURGE." + bus.EventsStream, ""},
				attack{"a forged event", bus.EventsPrefix + ".pro-1.usr-1.login-completed", "{}"})
		}
		mustBeRefused(t, name, conn, refused, all)
	}
}

// What the services and the job may listen to is what is meant for them.
func TestNobodyHearsTheAnswersToAnother(t *testing.T) {
	d := startDeployed(t)
	names := append(settings.ServiceNames(), "provision")
	for _, name := range names {
		conn, refused := d.connect(t, name)
		for _, other := range append(names, "operator", "*") {
			subject := "_INBOX." + other + ".>"
			if other == name {
				continue
			}
			if _, err := conn.SubscribeSync(subject); err != nil {
				t.Fatal(err)
			}
			if !refused.tells(subject) {
				t.Errorf("%s hears %s", name, subject)
			}
		}
	}
}
