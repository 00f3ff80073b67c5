"""All that is known of Label Studio from outside: its JSON both ways, checks, a client, rounds in and out, audio, health."""
