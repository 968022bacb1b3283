package settings

import "github.com/keyward/keyward/cmd/keyward/app/settings/value"

// callSettings are about calls between services in processes of their own.
func (c *Config) callSettings() []Setting {
	return []Setting{
		{
			Section: "Process", Key: "call_timeout", Value: value.Duration{P: &c.Calls.Timeout},
			Doc: "How long a call to a service in another process may take.",
		},
		{
			Section: "Process", Key: "call_limit", Value: value.Int{P: &c.CallLimit},
			Doc: "How many calls from other processes each service works on at once; more are answered 503.",
		},
		{
			Section: "Process",
			Key:     "call_hedge_after",
			Value:   value.Duration{P: &c.Calls.HedgeAfter},
			Doc: "After how long a call that may be made twice (reads, decisions) is made to another instance as well, and after four times as " +
				"long one that may be with an ID (starts of logins and of creations, events); 0s = never.",
			Note: "Nine of ten calls take a tenth of the default, so it adds little work, and a person does not notice the wait. Each further " +
				"time comes four times as late.",
		},
		{
			Section: "Process", Key: "call_asks", Value: value.Int{P: &c.Calls.Asks},
			Doc:  "How often such a call is made at most, from 1 to 10.",
			Note: "While no instance is known, the bus may hand several in a row to one that hangs.",
		},
		{
			Section: "Process",
			Key:     "call_silence",
			Value:   value.Duration{P: &c.Calls.Silence},
			Doc: "For how long an instance may leave its pings unanswered before others get its calls, at least 100ms; it is pinged four " +
				"times in that time.",
			Note: "More than a busy machine is late: an instance that is left too soon makes the others busier.",
		},
		{
			Section: "Process", Key: "call_losses", Value: value.Int{P: &c.Calls.Losses},
			Doc:  "How many calls in a row an instance may answer later than another that was asked after it; then it is shunned.",
			Note: "One or two are chance, the more so the busier all are.",
		},
		{
			Section: "Process", Key: "call_shunned", Value: value.Duration{P: &c.Calls.Shunned},
			Doc:  "For how long an instance that let a call run out of time, or lost too many, gets none while another answers.",
			Note: "Then it gets calls again, and is shunned anew if it leaves them, too. 0s shuns none.",
		},
	}
}
