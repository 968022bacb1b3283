// Package workbench has the settings of what operators look through: the index of decisions, and what is counted of adoption. It binds
// them to what it is given, and touches nothing else.
package workbench

import (
	"github.com/keyward/keyward/cmd/keyward/app/settings/value"
	"github.com/keyward/keyward/services/decision/adoption"
	"github.com/keyward/keyward/services/decision/index"
)

// Counting are of what is counted of adoption, and of where it is.
func Counting(c *adoption.Config, dir *string) []value.Setting {
	return []value.Setting{
		{
			Section: "Decisions", Key: "adoption", Value: value.Bool{P: &c.On},
			Doc:  "Whether processes with the decision service count what becomes of passkeys, which keyward report and the Operator API tell.",
			Note: "Set it alike for all of them: any answers.",
		},
		{
			Section: "Decisions", Key: "adoption_dir", Value: value.Text{P: dir},
			Doc: "A directory for the file of the sums, of this process only; empty is adoption in data_dir, with nats_url a temporary directory.",
			Note: "It can be made anew from the records of decisions and the log of events, as far as those reach: keep it over restarts if sums " +
				"are to reach further.",
		},
		{
			Section: "Decisions", Key: "adoption_combinations", Value: value.Int{P: &c.Combinations},
			Doc: "How many combinations of project, action, route, rule, tag, system, browser, class of passkey, revision and arm are counted " +
				"apart in a day; more are counted as other.",
		},
	}
}

// Settings are of the index of decisions, and of where it is.
func Settings(c *index.Config, dir *string) []value.Setting {
	return []value.Setting{
		{
			Section: "Decisions", Key: "decision_index", Value: value.Bool{P: &c.On},
			Doc: "Whether processes with the decision service keep an index of the decisions, which keyward decisions list and tail and the " +
				"Operator API ask.",
			Note: "Set it alike for all of them: any answers. Without it a decision is found by its ID alone.",
		},
		{
			Section: "Decisions", Key: "decision_index_dir", Value: value.Text{P: dir},
			Doc: "A directory for the file of the index, of this process only; empty is decisions in data_dir, with nats_url a temporary directory.",
			Note: "It holds no only copy: a file that is missing or damaged is made again from the records while the service runs. A file that " +
				"survives a restart saves that.",
		},
		{
			Section: "Decisions", Key: "decision_index_max_age", Value: value.Duration{P: &c.MaxAge},
			Doc:  "How old a decision may be in the index; at least 1m, 0s = as old as there is room for.",
			Note: "The records themselves are kept for decisions_max_age.",
		},
		{
			Section: "Decisions", Key: "decision_index_max_size", Value: value.Bytes[int64]{P: &c.MaxSize},
			Doc:  "How much room the index takes; at least 64MiB. Of more the oldest goes.",
			Note: "A decision takes about 100 bytes.",
		},
		{
			Section: "Decisions", Key: "decision_index_rate", Value: value.Int{P: &c.Rate},
			Doc: "How many decisions of a second are indexed, up to twice as many in a peak; 0 = all. Of more a share is left out: of those about " +
				"nobody first, then of those about users, and last of those that the rules of risk doubted or the policy failed at.",
			Note: "What is left out follows from the records alone, so all processes leave out the same; answers say how much.",
		},
	}
}
