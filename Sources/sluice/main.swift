import Master

Program.run(CommandLine.arguments)
