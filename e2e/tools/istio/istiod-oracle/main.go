// Command istiod-oracle tells what istiod makes of meshes: what a sidecar does with each of its calls in its full
// scope, and whether it does the same in the scopes that lazymesh would give it.
//
// Questions are JSON lines on stdin, answers JSON lines on stdout, one each, in the same order.
package main

import (
	"bufio"
	"encoding/json"
	"io"
	"log"
	"os"
	"runtime/debug"
	"sync"

	"istio.io/istio/pkg/config/schema/gvk"
	istiolog "istio.io/istio/pkg/log"
	"istio.io/istio/pkg/test"
)

// Question is one mesh, one workload of it, and what that workload calls.
type Question struct {
	// MeshConfig as YAML or JSON; defaults for what it omits.
	MeshConfig string `json:"mesh_config"`
	// Objects that the mesh has without lazymesh, of Kubernetes and Istio.
	Objects []json.RawMessage `json:"objects"`
	// Lenient: objects that Istio's webhook would refuse are there, as if they had come while it was away.
	Lenient bool `json:"lenient"`
	// Lazymesh's own: the collector's Service and the port anchor. Only the scoped sidecars live beside them.
	Lazymesh []json.RawMessage `json:"lazymesh"`
	Caller   Caller            `json:"caller"`
	// Scopes are Sidecars of the caller's namespace.
	Scopes []json.RawMessage `json:"scopes"`
	Calls  []Call            `json:"calls"`
}

// Caller is the pod whose sidecar is asked about.
type Caller struct {
	Namespace      string            `json:"namespace"`
	ServiceAccount string            `json:"service_account"`
	Labels         map[string]string `json:"labels"`
	Address        string            `json:"address"`
}

// Call is one request or connection of the caller's application.
type Call struct {
	Address string `json:"address"`
	Port    int    `json:"port"`
	// Host is the authority of a request, or the SNI of a TLS connection.
	Host string `json:"host"`
	// Protocol is http, tcp or tls.
	Protocol string            `json:"protocol"`
	Path     string            `json:"path"`
	Headers  map[string]string `json:"headers"`
}

// Answer is what istiod makes of a Question.
type Answer struct {
	// Error says why there is no answer, such as an object that Istio refuses.
	Error string `json:"error,omitempty"`
	// Full is what becomes of each call in the full scope.
	Full []Outcome `json:"full,omitempty"`
	// Lazy is what becomes of them in each scope.
	Lazy []Scoped `json:"lazy,omitempty"`
}

// Scoped is what a scope makes of the calls.
type Scoped struct {
	Verdicts []Verdict `json:"verdicts"`
	// Own tells the clusters that the sidecar's own filters call and that are not as in the full scope.
	Own []string `json:"own"`
}

// garbagePercent: the mesh of a question is garbage after its answer, so memory is cheaper than looks for what is left.
const garbagePercent = 400

func main() {
	debug.SetGCPercent(garbagePercent)
	for _, scope := range istiolog.Scopes() {
		scope.SetOutputLevel(istiolog.NoneLevel)
	}
	answers := json.NewEncoder(os.Stdout)
	questions := json.NewDecoder(bufio.NewReader(os.Stdin))
	for {
		var question Question
		err := questions.Decode(&question)
		if err == io.EOF {
			return
		}
		if err != nil {
			log.Fatalf("expected a question as a line of JSON: %v", err)
		}
		if err := answers.Encode(answer(question)); err != nil {
			log.Fatal(err)
		}
	}
}

func answer(question Question) Answer {
	var answer Answer
	err := test.Wrap(func(t test.Failer) {
		server := serve(t, question)
		alone := server.pushed(t)
		server.join(t, question)
		joined := server.pushed(t)
		full := server.sidecar(alone, question.Caller, nil)
		full.unruled = sync.OnceValue(func() sidecar {
			server.leave(t, gvk.DestinationRule)
			return server.sidecar(server.pushed(t), question.Caller, nil)
		})
		answer.Full = full.outcomes(question.Calls)
		against := reference{
			sidecar:  full,
			own:      ownClusters(full),
			outcomes: answer.Full,
			anchored: sync.OnceValues(func() (sidecar, []Outcome) {
				anchored := server.sidecar(joined, question.Caller, nil)
				return anchored, anchored.outcomes(question.Calls)
			}),
		}
		for n := range question.Scopes {
			lazy := server.sidecar(joined, question.Caller, &n)
			answer.Lazy = append(answer.Lazy, against.compare(lazy, question.Calls))
		}
	})
	if err != nil {
		return Answer{Error: err.Error()}
	}
	return answer
}
