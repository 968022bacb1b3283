package facts_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/keyward/keyward/policies"
)

// TestFactsOfRiskKeepTheirNamesAndValues holds the schema of risk to what authors of rules are told of. A part in braces stands for each
// name in it; after the colon are the words that the fact can be.
func TestFactsOfRiskKeepTheirNamesAndValues(t *testing.T) {
	t.Parallel()
	const item = "{aaguid,class,ageHours,backup,attested,status,level}"
	for _, line := range []string{
		"stage: mediation-start login-start login-finish append-start append-finish evaluate", "{action,complete,contextGiven}", "project.id",
		"request.family: ipv4 ipv6 none", "request.scope: public private shared special none",
		"request.{network,country,asn,hourUTC,weekdayUTC,hour,weekday,lists}", "request.agent: consistent contradicting unknown",
		"request.contradictions.{osHint,mobileHint,browserHint,frozenVersion,capability,touch}",
		"request.bot: none declared tool headless automation", "request.source: backend frontend",
		"familiar.{environment,network,asn,country}: seen new unknown", "familiar.successes", "velocity",
		"user.{status,ageHours,passkeys,labels,passkeyAddedHours,passkeyRemovedHours}",
		"user.alerts.{counterRegressed,backupEligibility,authenticatorStatus,fraudConfirmed}Hours",
		"credentials.items.{availability,usedHours}", "credentials.items." + item, "credentials.items.counter: none ok regressed",
		"credentials.items.backup: device-bound eligible backed-up", "credentials.items.attested: none self unverified verified",
		"credentials.items.status: unknown ok update compromised revoked retired",
		"used." + item, "used.{usedHours,availability,uv,route,aal}", "used.counter: none ok regressed reset", "used.backupChanged: none state",
		"created." + item, "created.{uv,format,conditional,aal}",
		"environment.{known,rejected,listed,ageHours,users}", "travel.{located,distanceKm,hours,kmh,countryChanged}", "context",
	} {
		names, words, _ := strings.Cut(line, ": ")
		before, rest, _ := strings.Cut(names, "{")
		among, after, _ := strings.Cut(rest, "}")
		for each := range strings.SplitSeq(among, ",") {
			held(t, before+each+after, strings.Fields(words))
		}
	}
}

type schema struct {
	Properties map[string]*schema `json:"properties"`
	Items      *schema            `json:"items"`
	Enum       []any              `json:"enum"`
}

func held(t *testing.T, path string, words []string) {
	t.Helper()
	content, err := policies.Bundle.ReadFile("schemas/risk.jsonschema")
	if err != nil {
		t.Fatal(err)
	}
	at := &schema{}
	if err := json.Unmarshal(content, at); err != nil {
		t.Fatal(err)
	}
	for name := range strings.SplitSeq(path, ".") {
		if at.Items != nil {
			at = at.Items
		}
		if at = at.Properties[name]; at == nil {
			t.Errorf("there is no input.%s", path)
			return
		}
	}
	var can []string
	for _, each := range at.Enum {
		if word, is := each.(string); is {
			can = append(can, word)
		}
	}
	slices.Sort(can)
	slices.Sort(words)
	if len(words) > 0 && !slices.Equal(can, words) {
		t.Errorf("input.%s is one of %q, and not of %q", path, can, words)
	}
}
