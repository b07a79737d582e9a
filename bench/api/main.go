// Api is the database of bench/api.sh: it answers each find with the same 20 localized documents of 5 KB. It prints its URI, and runs until
// SIGINT or SIGTERM.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"metahub/bench/mongod"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	server, err := mongod.Start(mongod.Listing(20))
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench/api:", err)
		os.Exit(1)
	}
	fmt.Println(server.URI("bench"))
	<-ctx.Done()
	server.Close()
}
