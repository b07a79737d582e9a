// Profile is metahub that writes a CPU profile of itself while it serves. bench/pgo.sh makes one for the compiler with it.
//
//	METAHUB_PROFILE=cpu.pprof go run ./bench/profile --config tenants.yaml     # until SIGINT or SIGTERM
//	go tool pprof -top cpu.pprof
package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"

	"metahub/cli"
)

func main() {
	file, err := os.Create(os.Getenv("METAHUB_PROFILE"))
	if err == nil {
		err = pprof.StartCPUProfile(file)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench/profile: METAHUB_PROFILE:", err)
		os.Exit(1)
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	code := cli.Main(cli.Process{
		Args:    os.Args[1:],
		Environ: os.Environ(),
		Stdin:   os.Stdin,
		Stdout:  os.Stdout,
		Stderr:  os.Stderr,
		Signals: signals,
	})
	pprof.StopCPUProfile()
	if err := file.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "bench/profile:", err)
		code = 1
	}
	os.Exit(code)
}
