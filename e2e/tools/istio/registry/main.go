// Command registry is distribution's OCI registry, with everything in memory, for the modules that sidecars fetch.
package main

import (
	"context"
	"flag"
	"log"
	"net/http"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/inmemory"
)

func main() {
	address := flag.String("address", "127.0.0.1:5000", "where to listen")
	flag.Parse()
	config := &configuration.Configuration{Storage: configuration.Storage{"inmemory": nil}}
	// The parts of an upload are told apart by a secret.
	config.HTTP.Secret = "lab"
	log.Fatal(http.ListenAndServe(*address, handlers.NewApp(context.Background(), config)))
}
