package main_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/core/bus"
)

// writers are the services that write to each stream. What several write to is named with all of them.
func writers() map[string][]string {
	of := map[string][]string{
		bus.EventsStream: {settings.Events}, bus.OffersStream: {settings.Ceremony}, bus.DecisionsStream: {settings.Decision},
		bus.WebhookRetriesStream: {settings.Events}, bus.WebhookDeadStream: {settings.Events}, bus.WebhookDeliveriesStream: {settings.Events},
		"KV_" + bus.EpochsBucket: {settings.Events}, "KV_" + bus.WebhooksBucket: {settings.Events},
		"KV_" + bus.WebhookWorkBucket: {settings.Events}, "KV_" + bus.IdempotencyBucket: {settings.Gateway},
		"OBJ_" + bus.PoliciesBucket: {settings.Decision}, "OBJ_" + bus.MetadataBucket: {settings.Decision},
		"KV_" + bus.ReleasesBucket: {settings.Decision}, "KV_" + bus.InstancesBucket: {settings.Decision},
		"KV_" + bus.TrialsBucket:    {settings.Decision},
		"KV_" + bus.OperatorsBucket: {settings.Gateway},      // for operators who are admins, beside commands
		bus.AuditStream:             settings.ServiceNames(), // of types of its own, see reports
		"KEYWARD_PROBES":            settings.ServiceNames(),
	}
	for _, bucket := range []string{
		bus.AccountsBucket, bus.CredentialsBucket, bus.IdentifiersBucket, bus.ProjectsBucket, bus.ChallengesBucket, bus.MarksBucket,
		bus.KeysBucket, bus.ProjectKeysBucket, bus.SessionsBucket, bus.SessionIndexBucket, bus.TokensBucket, bus.CodesBucket, bus.SpentBucket,
		bus.ProcessesBucket, bus.StepUpsBucket, bus.IntegrityBucket, bus.NobodiesBucket, bus.AttestationsBucket,
	} {
		of["KV_"+bucket] = []string{settings.Ceremony}
	}
	return of
}

// readers are the services that read each stream that not everybody in its account needs.
func readers() map[string][]string {
	of := map[string][]string{
		bus.EventsStream:              settings.ServiceNames(),
		bus.OffersStream:              {settings.Ceremony, settings.Decision, settings.Events},
		bus.DecisionsStream:           {settings.Decision, settings.Events}, // events looks for what is left of a deleted user
		bus.AuditStream:               {settings.Gateway},                   // for operators
		"KV_" + bus.EpochsBucket:      {settings.Ceremony, settings.Decision, settings.Events},
		"KV_" + bus.AccountsBucket:    {settings.Ceremony, settings.Events},
		"KV_" + bus.ProjectsBucket:    {settings.Ceremony, settings.Gateway},
		"KV_" + bus.OperatorsBucket:   {settings.Gateway},
		"KEYWARD_PROBES":              nil,
		"OBJ_" + bus.PoliciesBucket:   {settings.Decision},
		"OBJ_" + bus.MetadataBucket:   {settings.Ceremony, settings.Decision},
		bus.WebhookRetriesStream:      {settings.Events},
		bus.WebhookDeadStream:         {settings.Events},
		bus.WebhookDeliveriesStream:   {settings.Events},
		"KV_" + bus.WebhooksBucket:    {settings.Events},
		"KV_" + bus.IdempotencyBucket: {settings.Gateway},
	}
	for stream, services := range writers() {
		if _, said := of[stream]; !said {
			of[stream] = services
		}
	}
	return of
}

// reaches are attempts to read, write and follow a stream, and to end what others follow it with.
func reaches(stream *jetstream.StreamInfo, name string) []attack {
	s := stream.Config.Name
	subject := strings.Replace(stream.Config.Subjects[0], ">", "pro-1.a.b", 1)
	consumer := fmt.Sprintf(`{"stream_name":%q,"config":{"name":"spy","ack_policy":"none","filter_subject":%q}}`, s, subject)
	var all []attack
	if !slices.Contains(writers()[s], name) {
		all = append(all, attack{"a write", subject, "mine"})
	}
	if !slices.Contains(readers()[s], name) {
		all = append(all,
			attack{"a direct read", "$JS.API.DIRECT.GET." + s, `{"seq":1}`},
			attack{"a direct read of a subject", "$JS.API.DIRECT.GET." + s + "." + subject, ""},
			attack{"a read from the leader", "$JS.API.STREAM.MSG.GET." + s, `{"seq":1}`})
	}
	return append(all,
		attack{"a consumer", "$JS.API.CONSUMER.CREATE." + s + ".spy", consumer},
		attack{"a consumer of a subject", "$JS.API.CONSUMER.CREATE." + s + ".spy." + subject, consumer},
		attack{"the end of another's consumer", "$JS.API.CONSUMER.DELETE." + s + ".siem", ""},
		attack{"another's next message", "$JS.API.CONSUMER.MSG.NEXT." + s + ".siem", ""},
		attack{"a consumer without a name", "$JS.API.CONSUMER.CREATE." + s, consumer},
		attack{"a durable consumer", "$JS.API.CONSUMER.DURABLE.CREATE." + s + ".spy", consumer},
		attack{"a consumer of another subject", "$JS.API.CONSUMER.CREATE." + s + ".spy.$KV.elsewhere.a", consumer},
		attack{"a pause of another's consumer", "$JS.API.CONSUMER.PAUSE." + s + ".siem", `{"pause_until":"2100-01-01T00:00:00Z"}`},
		attack{"another leader of a consumer", "$JS.API.CONSUMER.LEADER.STEPDOWN." + s + ".siem", ""},
		attack{"a name of every consumer", "$JS.API.CONSUMER.NAMES." + s, ""})
}

// Whoever takes a service has what the service has: of every other stream that there is it reads nothing, writes nothing, and neither makes
// nor ends a consumer. A stream that is not in the tables fails this.
func TestNoServiceReadsWritesOrFollowsWhatIsNotItsOwn(t *testing.T) {
	d := startDeployed(t)
	operator, _ := d.connect(t, "operator")
	js, err := jetstream.New(operator, jetstream.WithDefaultTimeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	var streams []*jetstream.StreamInfo
	for info := range js.ListStreams(t.Context()).Info() {
		streams = append(streams, info)
		if writers()[info.Config.Name] == nil {
			t.Errorf("nobody writes to %s", info.Config.Name)
		}
	}
	if len(streams) != len(writers()) {
		t.Errorf("there are %d streams, %d have a writer", len(streams), len(writers()))
	}
	for _, name := range settings.ServiceNames() {
		conn, refused := d.connect(t, name)
		var all []attack
		for _, stream := range streams {
			all = append(all, reaches(stream, name)...)
		}
		mustBeRefused(t, name, conn, refused, all)
	}
}
