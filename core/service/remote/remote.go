// Package remote calls the services of core/service in other processes, and answers their calls, over the bus. A method listens on
// keyward.<service>.<method in kebab case>: versions of Keyward that run side by side meet there, so neither is ever renamed. Everything
// here but this comment is generated from the interfaces of core/service (make generate). It touches the bus and nothing else.
package remote
